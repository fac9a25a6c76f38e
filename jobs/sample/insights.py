"""What the system produced in the sample's sessions: prompts, interventions, analyses, requests and its own log."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.sample.classroom import FIRST_SESSION
from jobs.sample.randomness import Dice, after, key, numbered, shaped
from transforms.catalog import ANALYSIS_RESULTS, API_METRICS, INTERVENTIONS, PROMPTS, SESSION_ANALYTICS, SYSTEM_EVENTS

PROMPT_MESSAGES = {
    "facilitation": "Invite a quiet voice into the discussion.",
    "deepening": "Ask for the evidence behind the last claim.",
    "redirection": "Lead the group back to the question.",
    "collaboration": "Let two groups compare their answers.",
    "assessment": "Check what the group takes away so far.",
    "energy": "A short break may help.",
    "clarity": "Say the task again in other words.",
}


def teacher_guidance_metrics(sessions: DataFrame, dice: Dice) -> DataFrame:
    """`ai_insights.teacher_guidance_metrics`: one row per prompt shown in a recorded session, and what came of it."""
    prompt = ("n", "prompt")
    recorded = sessions.filter("recorded")
    used, dismissed = F.col("outcome") == "used", F.col("outcome") == "dismissed"
    prompts = (
        numbered(recorded, "prompt", dice.whole(4, 13, "prompts", "n"))
        .withColumn("position", dice.unit("position", *prompt))
        .withColumn("generated", after("start", F.col("position") * F.col("length")))
        .withColumn("category", dice.one_of(tuple(PROMPT_MESSAGES), "category", *prompt))
        .withColumn("outcome", dice.one_of(_OUTCOMES, "outcome", *prompt))
        .withColumn("seen", after("generated", dice.whole(4, 90, "seen", *prompt)))
        .withColumn("acknowledged", F.when(_sees(dice), F.col("seen")))
        .withColumn("acted", after("seen", dice.whole(5, 240, "acted", *prompt)))
        .withColumn("used", F.when(used, F.col("acted")))
        .withColumn("dismissed", F.when(dismissed, F.col("acted")))
        .withColumn("answered", F.least("acknowledged", "used", "dismissed"))
        .withColumn("g", F.col("prompt") % F.col("groups") + 1)
    )
    return shaped(prompts, PROMPTS, _prompt_values(dice))


_OUTCOMES = ("used",) * 7 + ("dismissed",) * 4 + ("acknowledged",) * 4 + ("none",) * 5


def _sees(dice: Dice) -> Column:
    """Whether the teacher acknowledged the prompt, without which it can still be used or dismissed."""
    also = F.col("outcome").isin("used", "dismissed") & dice.chance(0.7, "acknowledges", "n", "prompt")
    return (F.col("outcome") == "acknowledged") | also


def _prompt_values(dice: Dice) -> dict[str, Column]:
    prompt = ("n", "prompt")
    used = F.col("used").isNotNull()
    messages = F.create_map(*(F.lit(text) for item in PROMPT_MESSAGES.items() for text in item))
    phase = F.when(F.col("position") < 0.2, "opening").when(F.col("position") < 0.7, "development")
    seconds = F.unix_seconds("answered") - F.unix_seconds("generated")
    effective = F.when(used, dice.between(0.5, 0.98, "effectiveness", *prompt)).when(
        F.col("acknowledged").isNotNull(), dice.between(0.2, 0.7, "effectiveness", *prompt)
    )
    rated = used & dice.chance(0.4, "rates", *prompt)
    return {
        "id": key("guidance", *prompt),
        "session_id": F.col("session_id"),
        # Older clients left it out; then it comes from the session.
        "teacher_id": F.when(dice.chance(0.97, "teacher known", *prompt), F.col("teacher_id")),
        "prompt_id": key("prompt", *prompt),
        "prompt_category": F.col("category"),
        "priority_level": dice.one_of(("high", "medium", "medium", "low"), "priority", *prompt),
        "prompt_message": F.element_at(messages, F.col("category")),
        "suggested_timing": dice.one_of(("immediate", "next_break", "session_end"), "timing", *prompt),
        "session_phase": phase.when(F.col("position") < 0.88, "synthesis").otherwise("closure"),
        "subject_area": F.when(dice.chance(0.95, "subject known", "n"), F.col("subject")),
        "target_metric": dice.one_of(("participation", "collaboration", "focus"), "target", *prompt),
        "group_id": F.when(dice.chance(0.6, "one group", *prompt), key("group", "n", "g")),
        "generated_at": F.col("generated"),
        "acknowledged_at": F.col("acknowledged"),
        "used_at": F.col("used"),
        "dismissed_at": F.col("dismissed"),
        "expires_at": after("generated", F.lit(900)),
        "feedback_rating": F.when(rated, dice.one_of((2, 3, 4, 4, 5, 5), "rating", *prompt)),
        "effectiveness_score": F.round(effective, 4),
        "learning_outcome_improvement": F.when(used, F.round(dice.between(-0.1, 0.4, "learning", *prompt), 4)),
        "response_time_seconds": F.when(dice.chance(0.8, "response known", *prompt), seconds),
        "educational_purpose": F.lit("Supports a discussion in which everyone takes part."),
        "compliance_basis": F.lit("legitimate educational interest"),
        "data_retention_date": F.date_add(F.col("generated").cast("date"), 1095),
        "created_at": F.col("generated"),
        "updated_at": F.coalesce(F.greatest("acknowledged", "used", "dismissed"), "generated"),
    }


def intervention_suggestions(sessions: DataFrame, dice: Dice) -> DataFrame:
    """`ai_insights.intervention_suggestions`: one row per suggestion to step in, in a recorded session."""
    suggestion = ("n", "suggestion")
    made = (
        numbered(sessions.filter("recorded"), "suggestion", dice.whole(1, 2, "suggestions", "n"))
        .withColumn("made", after("start", F.col("length") * dice.between(0.1, 0.95, "suggested at", *suggestion)))
        .withColumn("acted", dice.chance(0.6, "acted upon", *suggestion))
        .withColumn("g", F.least(F.col("suggestion"), F.col("groups")))
    )
    # Sometimes the time was not recorded.
    noted = F.col("acted") & dice.chance(0.95, "acted noted", *suggestion)
    return shaped(made, INTERVENTIONS, {
        "id": key("intervention", *suggestion),
        "session_id": F.col("session_id"),
        "group_id": key("group", "n", "g"),
        "teacher_id": F.col("teacher_id"),
        "intervention_type": dice.one_of(("redirect", "encourage", "clarify"), "intervention", *suggestion),
        "urgency": dice.one_of(("low", "medium", "high"), "urgency", *suggestion),
        "reason": F.lit("The discussion has slowed down."),
        "suggested_action": F.lit("Ask the group what it has agreed on."),
        "target_type": F.lit("group"),
        "status": F.when(F.col("acted"), "completed").otherwise("pending"),
        "acted_upon": F.col("acted"),
        "acted_at": F.when(noted, after("made", dice.whole(20, 600, "acted at", *suggestion))),
        "was_effective": F.when(F.col("acted"), dice.chance(0.7, "effective", *suggestion)),
        "created_at": F.col("made"),
    })  # fmt: skip


def analysis_results(sessions: DataFrame, dice: Dice) -> DataFrame:
    """`ai_insights.analysis_results`: one row per analysis, which four recorded sessions of ten get."""
    analysed = (F.col("n") == FIRST_SESSION) | dice.chance(0.4, "analysed", "n")
    done = after("end", dice.whole(30, 600, "analysed at", "n"))
    return shaped(sessions.filter(F.col("recorded") & analysed), ANALYSIS_RESULTS, {
        "id": key("analysis", "n"),
        "session_id": F.col("session_id"),
        "analysis_type": dice.one_of(("tier1", "tier2"), "tier", "n"),
        "analysis_timestamp": done,
        "processing_time_ms": dice.whole(800, 9_000, "processing", "n"),
        "result_data": F.lit('{"summary": "sample"}'),
        "confidence_score": F.round(dice.between(0.7, 0.99, "analysis confidence", "n"), 4),
        "model_version": F.lit("sample-1"),
        "created_at": done,
    })  # fmt: skip


def session_analytics(sessions: DataFrame, dice: Dice) -> DataFrame:
    """`analytics.session_analytics`: one row per session that ran: completed, or failed one time in twelve."""
    began = after("end", F.lit(20))
    done = after("end", dice.whole(40, 400, "computed at", "n"))
    completed = dice.chance(11 / 12, "computed", "n")
    return shaped(sessions.filter("ran"), SESSION_ANALYTICS, {
        "id": key("session-analytics", "n"),
        "session_id": F.col("session_id"),
        "analysis_type": F.lit("final_summary"),
        "status": F.when(completed, "completed").otherwise("failed"),
        "computation_id": key("computation", "n"),
        "started_at": began,
        "computed_at": F.when(completed, done),
        "failed_at": F.when(~completed, done),
        "error_message": F.when(~completed, "the model did not answer in time"),
        "version": F.lit("1"),
        "processing_time_ms": dice.whole(900, 20_000, "computation", "n"),
        "created_at": began,
        "updated_at": done,
    })  # fmt: skip


def api_metrics(sessions: DataFrame, dice: Dice) -> DataFrame:
    """`operational.api_metrics`: one row per request, around the time for which the session is planned."""
    request = ("n", "request")
    moment = after("scheduled", dice.between(-900, 4_500, "asked at", *request))
    status = dice.one_of((200,) * 85 + (201,) * 7 + (404,) * 4 + (500, 503), "status code", *request)
    return shaped(numbered(sessions, "request", F.lit(4)), API_METRICS, {
        "id": key("request", *request),
        "endpoint": dice.one_of(("/sessions", "/groups", "/prompts", "/dashboard"), "endpoint", *request),
        "method": dice.one_of(("GET", "GET", "GET", "POST"), "method", *request),
        "response_time_ms": 12 + F.floor(F.pow(dice.unit("response", *request), F.lit(4.0)) * 1_500),
        # A request that the client abandoned has no code.
        "status_code": F.when(dice.chance(0.99, "answered", *request), status),
        "user_id": F.col("teacher_id"),
        "school_id": F.col("school_id"),
        # A block of addresses reserved for documentation.
        "ip_address": F.concat(F.lit("192.0.2."), dice.whole(1, 254, "address", *request)),
        "user_agent": F.lit("SampleBrowser/1.0"),
        "timestamp": moment,
    })  # fmt: skip


def system_events(sessions: DataFrame, dice: Dice) -> DataFrame:
    """`operational.system_events`: one row per line of the system's log; some name only a school, or neither."""
    entry = ("n", "entry")
    severities = ("info",) * 80 + ("warning",) * 12 + ("error",) * 6 + ("ERROR", "critical")
    logged = numbered(sessions, "entry", dice.one_of((1, 2, 2, 2, 2, 3, 3), "entries", "n"))
    return shaped(logged, SYSTEM_EVENTS, {
        "id": key("system-event", *entry),
        "event_type": dice.one_of(("websocket", "scheduler", "storage", "auth"), "system event", *entry),
        "severity": dice.one_of(severities, "severity", *entry),
        "component": dice.one_of(("gateway", "backend", "analytics"), "component", *entry),
        "message": F.lit("sample entry"),
        "school_id": F.when(dice.chance(0.85, "school known", *entry), F.col("school_id")),
        "session_id": F.when(dice.chance(0.9, "session known", *entry), F.col("session_id")),
        "user_id": F.col("teacher_id"),
        "created_at": after("scheduled", dice.between(-600, 4_200, "logged at", *entry)),
    })  # fmt: skip
