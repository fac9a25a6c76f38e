"""Names of tables, which do not depend on the catalog or folder that holds them."""

from __future__ import annotations

CATALOG = "classwaves"
"""The first part of every full name."""

SESSIONS = "sessions.classroom_sessions"
GROUPS = "sessions.student_groups"
PARTICIPANTS = "sessions.participants"
TRANSCRIPTIONS = "sessions.transcriptions"
SESSION_EVENTS = "analytics.session_events"
SESSION_ANALYTICS = "analytics.session_analytics"
PROMPTS = "ai_insights.teacher_guidance_metrics"
INTERVENTIONS = "ai_insights.intervention_suggestions"
ANALYSIS_RESULTS = "ai_insights.analysis_results"
RECORDINGS = "audio.recordings"
API_METRICS = "operational.api_metrics"
SYSTEM_EVENTS = "operational.system_events"
TEACHERS = "users.teachers"

DASHBOARD_METRICS = "analytics.dashboard_metrics_hourly"
DASHBOARD_METRICS_OF_USERS = "users.dashboard_metrics_hourly"
TEACHER_SUMMARY = "analytics.teacher_analytics_summary"
TEACHER_SUMMARY_OF_USERS = "users.teacher_analytics_summary"
PROMPT_EFFECTIVENESS = "ai_insights.teacher_prompt_effectiveness"

LEDGER = "users.analytics_job_metadata"
QUALITY_SCHEMA = "quality"
QUARANTINE = f"{QUALITY_SCHEMA}.quarantine"
RUNS = f"{QUALITY_SCHEMA}.runs"
VALIDATION_RESULTS = f"{QUALITY_SCHEMA}.validation_results"


def full_name(table: str) -> str:
    """`classwaves.<schema>.<table>` for a two-part name."""
    return f"{CATALOG}.{table}"
