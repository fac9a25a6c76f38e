-- The usable rows of the sources and the sessions' spans, as the data dictionary's rules have them. Of the copies of a
-- key the newest is judged, so what else a row needs is asked after the window function.
keyed_sessions AS (
    SELECT * FROM sessions.classroom_sessions WHERE known(id) IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY updated_at DESC NULLS LAST, created_at DESC NULLS LAST) = 1
),
session AS (
    SELECT
        id AS session_id,
        known(school_id) AS school_id,
        known(teacher_id) AS teacher_id,
        between_or_null(engagement_score, 0, 100) AS engagement_score,
        between_or_null(participation_rate, 0, 100) AS participation_rate,
        CASE WHEN actual_duration_minutes >= 0 THEN actual_duration_minutes END AS actual_duration_minutes,
        utc(actual_start) AS actual_start,
        utc(actual_end) AS actual_end
    FROM keyed_sessions
),
keyed_events AS (
    SELECT id, session_id, utc(event_time) AS event_time, word(event_type) AS event_type, payload
    FROM analytics.session_events WHERE known(id) IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY created_at DESC NULLS LAST) = 1
),
parsed_events AS (
    SELECT session_id, event_time, event_type, try_cast(payload AS JSON) AS payload
    FROM keyed_events SEMI JOIN session USING (session_id)
    WHERE event_time IS NOT NULL
      AND event_type IN ('configured', 'started', 'leader_ready', 'member_join', 'member_leave', 'ended')
),
event AS (
    SELECT
        session_id,
        event_time,
        event_type,
        CASE WHEN json_type(payload, '$.groupId') = 'VARCHAR' THEN known(payload ->> '$.groupId') END AS group_id,
        CASE
            WHEN json_type(payload, '$.latencyMs') IN ('BIGINT', 'UBIGINT', 'DOUBLE')
            THEN between_or_null(try_cast(payload ->> '$.latencyMs' AS DOUBLE), 0, 1.7976931348623157e308)
        END AS latency_ms
    FROM parsed_events
),
landmark AS (
    SELECT
        session_id,
        min(event_time) FILTER (event_type = 'configured') AS configured_at,
        min(event_time) FILTER (event_type = 'started') AS started_at,
        max(event_time) FILTER (event_type = 'ended') AS ended_at,
        count(*) AS session_events,
        count(*) FILTER (event_type = 'leader_ready') AS leader_ready_events
    FROM event GROUP BY ALL
),
started AS (
    SELECT
        session.* EXCLUDE (actual_start, actual_end),
        coalesce(started_at, actual_start) AS start,
        coalesce(ended_at, actual_end) AS told_end,
        configured_at,
        coalesce(session_events, 0) AS session_events,
        coalesce(leader_ready_events, 0) AS leader_ready_events
    FROM session LEFT JOIN landmark USING (session_id)
),
span AS (
    SELECT
        * EXCLUDE (told_end),
        -- DuckDB's greatest and least pass over a null.
        CASE WHEN start IS NOT NULL AND told_end IS NOT NULL
             THEN least(greatest(told_end, start), start + INTERVAL 24 HOURS) END AS recorded_end,
        coalesce(recorded_end, start + INTERVAL 4 HOURS) AS span_end
    FROM started
),
keyed_groups AS (
    SELECT * FROM sessions.student_groups WHERE known(id) IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY updated_at DESC NULLS LAST, created_at DESC NULLS LAST) = 1
),
ready AS (
    SELECT session_id, group_id, min(event_time) AS ready_at
    FROM event WHERE event_type = 'leader_ready' AND group_id IS NOT NULL GROUP BY ALL
),
student_group AS (
    SELECT
        g.session_id,
        word(g.status) AS status,
        between_or_null(g.collaboration_score, 0, 100) AS collaboration_score,
        between_or_null(g.argumentation_quality, 0, 100) AS argumentation_quality,
        list_avg([between_or_null(g.topical_cohesion, 0, 100), between_or_null(g.conceptual_density, 0, 100)])
            AS discussion_quality,
        ready.ready_at
    FROM keyed_groups AS g
    SEMI JOIN session ON session.session_id = g.session_id
    LEFT JOIN ready ON ready.session_id = g.session_id AND ready.group_id = g.id
),
quality AS (
    SELECT
        session_id,
        count(student_group.session_id) AS groups,
        sum(collaboration_score) AS collaboration_sum,
        count(collaboration_score) AS collaboration_count,
        list_avg([any_value(engagement_score), any_value(participation_rate), avg(collaboration_score)]) AS quality
    FROM session LEFT JOIN student_group USING (session_id)
    GROUP BY session_id
),
keyed_transcriptions AS (
    SELECT id, session_id, start_time, end_time, duration_seconds, confidence_score, is_final
    FROM sessions.transcriptions WHERE known(id) IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY created_at DESC NULLS LAST) = 1
),
transcription AS (
    SELECT
        session_id,
        utc(start_time) AS start_time,
        coalesce(duration_seconds::DOUBLE, seconds_between(start_time, end_time)) AS seconds,
        between_or_null(confidence_score, 0, 1) AS confidence_score
    FROM keyed_transcriptions SEMI JOIN session USING (session_id)
    WHERE start_time IS NOT NULL AND is_final AND seconds >= 0
),
keyed_prompts AS (
    SELECT * FROM ai_insights.teacher_guidance_metrics WHERE known(id) IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY updated_at DESC NULLS LAST, created_at DESC NULLS LAST) = 1
),
prompt AS (
    SELECT
        session_id,
        known(teacher_id) AS teacher_id,
        word(prompt_category) AS prompt_category,
        word(subject_area) AS subject_area,
        word(session_phase) AS session_phase,
        word(priority_level) AS priority_level,
        utc(generated_at) AS generated_at,
        utc(acknowledged_at) AS acknowledged_at,
        utc(used_at) AS used_at,
        utc(dismissed_at) AS dismissed_at,
        CASE WHEN isfinite(effectiveness_score) THEN effectiveness_score END AS effectiveness_score,
        CASE WHEN isfinite(learning_outcome_improvement) THEN learning_outcome_improvement END AS learning_outcome,
        between_or_null(feedback_rating, 1, 5) AS feedback_rating,
        seconds_between(generated_at, least(acknowledged_at, used_at, dismissed_at)) AS seconds_to_reaction,
        CASE
            WHEN response_time_seconds >= 0 THEN response_time_seconds
            WHEN seconds_to_reaction >= 0 THEN seconds_to_reaction
        END AS response_time
    FROM keyed_prompts SEMI JOIN session USING (session_id)
    WHERE generated_at IS NOT NULL
),
keyed_interventions AS (
    SELECT * FROM ai_insights.intervention_suggestions WHERE known(id) IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY created_at DESC NULLS LAST) = 1
),
intervention AS (
    SELECT session_id, utc(created_at) AS created_at, acted_upon, utc(acted_at) AS acted_at
    FROM keyed_interventions SEMI JOIN session USING (session_id)
    WHERE created_at IS NOT NULL
)
