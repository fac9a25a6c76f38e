"""The people and places of the sample lakehouse: how many there are, schools, teachers, students.

A teacher's school, a school's time zone and a student's name are functions of their numbers. So every table can compute
them by itself, and none needs a join.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from math import sqrt

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.sample.randomness import Dice, key, shaped
from transforms.catalog import TEACHERS

ZONES = (
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "Asia/Kolkata",
    "Australia/Sydney",
    "Pacific/Auckland",
    "Europe/Berlin",
    "America/Sao_Paulo",
    "America/Chicago",
    "Africa/Nairobi",
)
SUBJECTS = ("math", "science", "literature", "history", "general")
# Nobody has these names, and example.org belongs to nobody.
GIVEN_NAMES = ("Ansel", "Bexley", "Corin", "Dilly", "Ember", "Fenn", "Galen", "Hollis", "Indra", "Juno", "Lark")
FAMILY_NAMES = ("Demoson", "Fictley", "Mockford", "Notreal", "Pretendi", "Samplewood", "Stubbs-Data", "Testwell")
TREES = ("Alder", "Beech", "Cedar", "Elm", "Hazel", "Juniper", "Linden", "Maple", "Oak", "Rowan", "Willow")


@dataclass(frozen=True)
class Scale:
    """How much of everything there is, from the few numbers that a caller chooses."""

    sessions: int
    days: int
    first_day: date
    density: float

    def __post_init__(self) -> None:
        if self.sessions < 1 or self.days < 1 or not 0 <= self.density <= 1:
            raise ValueError("a sample needs at least one session and one day, and a density from 0 to 1")

    @property
    def schools(self) -> int:
        """The number of schools: half the number of sessions, at least 3 and at most 203."""
        return min(203, max(3, self.sessions // 2))

    @property
    def teachers(self) -> int:
        """The number of teachers, which grows with the root of that of sessions: 222 for 425, 3,405 for 100,000."""
        return max(self.schools, round(222 * sqrt(self.sessions / 425)))

    @property
    def regulars(self) -> int:
        """The number of teachers who share half of the sessions: 40 each, enough for a trend."""
        return min(self.teachers, max(3, self.sessions // 80))

    @property
    def pupils_per_school(self) -> int:
        """The number of pupils per school: at least as many as the largest session seats, so that none sits twice."""
        return max(20, self.sessions // self.schools // 4)

    @property
    def monday(self) -> date:
        """The Monday from which working days are counted."""
        return self.first_day - timedelta(days=self.first_day.weekday())

    @property
    def working_days(self) -> tuple[int, int]:
        """The first and the last working day of the sample, counted from `monday`, five to a week.

        A sample that is all weekend gets the Monday after it.
        """
        last = self.first_day + timedelta(days=self.days - 1)
        first_index = min(self.first_day.weekday(), 5)
        last_index = (last - self.monday).days // 7 * 5 + min(last.weekday(), 4)
        return first_index, max(first_index, last_index)


def school_number(scale: Scale, teacher: str = "teacher_n") -> Column:
    """The number of a teacher's school."""
    return (F.col(teacher) - 1) % scale.schools + 1


def school_zone(school: str = "school_n") -> Column:
    """The IANA name of a school's time zone."""
    return F.element_at(F.array(*map(F.lit, ZONES)), ((F.col(school) - 1) % len(ZONES) + 1).cast("int"))


def given_name(dice: Dice, kind: str, number: str) -> Column:
    """The first name of the teacher or student of that number."""
    return dice.one_of(GIVEN_NAMES, f"{kind} given name", number)


def family_name(dice: Dice, kind: str, number: str) -> Column:
    """The last name of the teacher or student of that number."""
    return dice.one_of(FAMILY_NAMES, f"{kind} family name", number)


def _address(kind: str, number: str) -> Column:
    return F.concat(key(kind, number), F.lit("@"), key("school", "school_n"), F.lit(".example.org"))


def _founded(scale: Scale, days_before: Column) -> Column:
    return F.date_sub(F.lit(scale.first_day), days_before.cast("int")).cast("timestamp")


def schools(spark: SparkSession, scale: Scale, dice: Dice) -> DataFrame:
    """`users.schools`: one row per school."""
    frame = spark.range(1, scale.schools + 1).select(F.col("id").alias("school_n"))
    founded = _founded(scale, dice.whole(60, 700, "school age", "school_n"))
    tree = dice.one_of(TREES, "school name", "school_n")
    return shaped(frame, "users.schools", {
        "id": key("school", "school_n"),
        "name": F.concat(tree, F.lit(" School "), F.col("school_n")),
        "domain": F.concat(key("school", "school_n"), F.lit(".example.org")),
        "admin_email": F.concat(F.lit("office@"), key("school", "school_n"), F.lit(".example.org")),
        "subscription_tier": dice.one_of(("basic", "basic", "pro", "enterprise"), "tier", "school_n"),
        "subscription_status": dice.one_of(("active",) * 9 + ("trial",), "subscription", "school_n"),
        "max_teachers": F.lit(200),
        "current_teachers": F.lit(max(1, scale.teachers // scale.schools)),
        "subscription_start_date": founded,
        "ferpa_agreement": F.lit(True),
        "coppa_compliant": F.lit(True),
        "data_retention_days": F.lit(1095),
        "created_at": founded,
        "updated_at": founded,
    })  # fmt: skip


def teachers(spark: SparkSession, scale: Scale, dice: Dice) -> DataFrame:
    """`users.teachers`: one row per teacher; a few have no time zone, a few have an abbreviation as time zone."""
    frame = (
        spark.range(1, scale.teachers + 1)
        .select(F.col("id").alias("teacher_n"))
        .withColumn("school_n", school_number(scale))
        .withColumn("profile", dice.unit("profile", "teacher_n"))
    )
    zone = F.when(F.col("profile") < 0.03, None).when(F.col("profile") < 0.04, "EST").otherwise(school_zone())
    hired = _founded(scale, dice.whole(10, 60, "teacher age", "teacher_n"))
    return shaped(frame, TEACHERS, {
        "id": key("teacher", "teacher_n"),
        "email": _address("teacher", "teacher_n"),
        "name": F.concat_ws(" ", given_name(dice, "teacher", "teacher_n"), family_name(dice, "teacher", "teacher_n")),
        "school_id": key("school", "school_n"),
        "role": dice.one_of(("teacher",) * 9 + ("admin",), "role", "teacher_n"),
        "status": F.lit("active"),
        "access_level": F.lit("full"),
        "max_concurrent_sessions": F.lit(5),
        "current_sessions": F.lit(0),
        "grade": dice.whole(5, 12, "teacher grade", "teacher_n"),
        "subject": dice.one_of(SUBJECTS, "teacher subject", "teacher_n"),
        "timezone": zone,
        "last_login": F.lit(scale.first_day).cast("timestamp"),
        "login_count": dice.whole(1, 300, "logins", "teacher_n"),
        "created_at": hired,
        "updated_at": hired,
    })  # fmt: skip


def students(spark: SparkSession, scale: Scale, dice: Dice) -> DataFrame:
    """`users.students`: one row per student, the same number in every school."""
    pupils = scale.pupils_per_school
    frame = (
        spark.range(1, scale.schools * pupils + 1)
        .select(F.col("id").alias("student_n"))
        .withColumn("school_n", F.floor((F.col("student_n") - 1) / pupils) + 1)
    )
    first, last = given_name(dice, "student", "student_n"), family_name(dice, "student", "student_n")
    enrolled = _founded(scale, dice.whole(1, 60, "student age", "student_n"))
    return shaped(frame, "users.students", {
        "id": key("student", "student_n"),
        "display_name": first,
        "school_id": key("school", "school_n"),
        "email": _address("student", "student_n"),
        "status": F.lit("active"),
        "grade_level": dice.whole(5, 12, "student grade", "student_n"),
        "has_parental_consent": F.lit(True),
        "consent_date": enrolled,
        "parent_email": _address("parent", "student_n"),
        "data_sharing_consent": dice.chance(0.9, "sharing consent", "student_n"),
        "audio_recording_consent": dice.chance(0.9, "audio consent", "student_n"),
        "created_at": enrolled,
        "updated_at": enrolled,
        "given_name": first,
        "family_name": last,
        "preferred_name": first,
        "email_consent": F.lit(False),
        "coppa_compliant": F.lit(True),
        "teacher_verified_age": F.lit(True),
    })  # fmt: skip
