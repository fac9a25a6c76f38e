"""Who took part in a session."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from transforms.columns import blank_to_null


def person() -> Column:
    """The person that a participant is: the student, else the anonymous visitor, else the participant itself.

    A hash (MD5 of the kind and the identifier), so that no identifier of a pupil leaves its table; equal persons have
    equal hashes, and the three kinds never equal each other.
    """
    return F.md5(
        F.coalesce(
            F.concat(F.lit("student:"), blank_to_null(F.col("student_id"))),
            F.concat(F.lit("anonymous:"), blank_to_null(F.col("anonymous_id"))),
            F.concat(F.lit("participant:"), F.col("id")),
        )
    )
