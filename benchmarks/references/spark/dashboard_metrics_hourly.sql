-- The hourly rollup by its definitions, as one statement: what the job publishes but for the stamps. Of the copies of a
-- key the newest is judged, so what else a row needs is asked after the window function.
WITH
keyed_sessions AS (
    SELECT *, row_number() OVER (PARTITION BY id ORDER BY updated_at DESC NULLS LAST, created_at DESC NULLS LAST) AS age
    FROM sessions.classroom_sessions WHERE known(id) IS NOT NULL
),
session AS (
    SELECT
        id AS session_id,
        known(school_id) AS school_id,
        known(teacher_id) AS teacher_id,
        CASE WHEN engagement_score BETWEEN 0 AND 100 THEN double(engagement_score) END AS engagement_score,
        CASE WHEN participation_rate BETWEEN 0 AND 100 THEN double(participation_rate) END AS participation_rate,
        actual_start,
        actual_end
    FROM keyed_sessions WHERE age = 1
),
keyed_events AS (
    SELECT
        id, session_id, event_time, event_type, payload,
        row_number() OVER (PARTITION BY id ORDER BY created_at DESC NULLS LAST) AS age
    FROM analytics.session_events WHERE known(id) IS NOT NULL
),
parsed_events AS (
    SELECT session_id, event_time, word(event_type) AS event_type, try_parse_json(payload) AS payload
    FROM keyed_events LEFT SEMI JOIN session USING (session_id)
    WHERE age = 1 AND event_time IS NOT NULL
      AND word(event_type) IN ('configured', 'started', 'leader_ready', 'member_join', 'member_leave', 'ended')
),
event AS (
    SELECT
        session_id,
        event_time,
        event_type,
        CASE WHEN schema_of_variant(try_variant_get(payload, '$.groupId', 'variant')) = 'STRING'
             THEN known(try_variant_get(payload, '$.groupId', 'string')) END AS group_id,
        CASE WHEN schema_of_variant(try_variant_get(payload, '$.latencyMs', 'variant')) RLIKE '^(BIGINT|DOUBLE|DECIMAL)'
              AND try_variant_get(payload, '$.latencyMs', 'double') BETWEEN 0 AND 1.7976931348623157e308
             THEN try_variant_get(payload, '$.latencyMs', 'double') END AS latency_ms
    FROM parsed_events
),
landmark AS (
    SELECT
        session_id,
        min(event_time) FILTER (WHERE event_type = 'started') AS started_at,
        max(event_time) FILTER (WHERE event_type = 'ended') AS ended_at
    FROM event GROUP BY session_id
),
started AS (
    SELECT
        session.*,
        coalesce(started_at, actual_start) AS start,
        coalesce(ended_at, actual_end) AS told_end
    FROM session LEFT JOIN landmark USING (session_id)
),
ended AS (
    SELECT
        session_id, school_id, teacher_id, engagement_score, participation_rate, start,
        CASE WHEN start IS NOT NULL AND told_end IS NOT NULL
             THEN least(greatest(told_end, start), start + INTERVAL 24 HOURS) END AS recorded_end
    FROM started
),
span AS (
    SELECT *, coalesce(recorded_end, start + INTERVAL 4 HOURS) AS span_end FROM ended
),
keyed_groups AS (
    SELECT *, row_number() OVER (PARTITION BY id ORDER BY updated_at DESC NULLS LAST, created_at DESC NULLS LAST) AS age
    FROM sessions.student_groups WHERE known(id) IS NOT NULL
),
ready AS (
    SELECT session_id, group_id, min(event_time) AS ready_at
    FROM event WHERE event_type = 'leader_ready' AND group_id IS NOT NULL GROUP BY session_id, group_id
),
student_group AS (
    SELECT
        g.session_id,
        CASE WHEN collaboration_score BETWEEN 0 AND 100 THEN double(collaboration_score) END AS collaboration_score,
        ready_at
    FROM keyed_groups AS g LEFT JOIN ready ON ready.session_id = g.session_id AND ready.group_id = g.id
    WHERE g.age = 1
),
groups_of_session AS (
    SELECT
        session_id,
        count(*) AS groups,
        collect_list(ready_at) AS ready_ats,
        sum(collaboration_score) AS collaboration_sum,
        count(collaboration_score) AS collaboration_count
    FROM student_group GROUP BY session_id
),
session_hours AS (
    SELECT
        span.*,
        groups,
        ready_ats,
        collaboration_sum,
        collaboration_count,
        aggregate(
            filter(array(engagement_score, participation_rate, collaboration_sum / nullif(collaboration_count, 0)),
                   score -> score IS NOT NULL),
            CAST(struct(0.0 AS total, 0 AS n) AS struct<total: double, n: int>),
            (so_far, score) -> struct(so_far.total + score AS total, so_far.n + 1 AS n),
            so_far -> so_far.total / nullif(so_far.n, 0)
        ) AS quality,
        explode(array_union(
            sequence(date_trunc('hour', start),
                     date_trunc('hour', greatest(span_end - INTERVAL 0.000001 SECOND, start)), INTERVAL 1 HOUR),
            array_compact(array(date_trunc('hour', recorded_end)))
        )) AS metric_hour
    FROM span LEFT JOIN groups_of_session USING (session_id)
    WHERE start IS NOT NULL AND school_id IS NOT NULL
),
told_session_hours AS (
    SELECT
        *,
        span_end > metric_hour OR start = span_end AS is_active,
        date_trunc('hour', recorded_end) <=> metric_hour AS is_completed
    FROM session_hours
),
sessions_by_hour AS (
    SELECT
        school_id,
        metric_hour,
        count_if(is_active) AS sessions_active,
        count_if(is_completed) AS sessions_completed,
        count(DISTINCT CASE WHEN is_active THEN teacher_id END) AS teachers_active,
        sum(groups) FILTER (WHERE is_active) AS total_groups,
        sum(size(filter(ready_ats, ready_at -> ready_at < metric_hour + INTERVAL 1 HOUR)))
            FILTER (WHERE is_active AND ready_ats IS NOT NULL) AS ready_groups,
        avg(quality) FILTER (WHERE is_active) AS avg_session_quality,
        avg(engagement_score) FILTER (WHERE is_active) AS avg_engagement_score,
        avg(participation_rate) FILTER (WHERE is_active) AS avg_participation_rate,
        sum(collaboration_sum) FILTER (WHERE is_active)
            / nullif(sum(collaboration_count) FILTER (WHERE is_active), 0) AS avg_collaboration_score,
        count(*) AS facts
    FROM told_session_hours GROUP BY school_id, metric_hour
),
keyed_participants AS (
    SELECT *, row_number() OVER (PARTITION BY id ORDER BY updated_at DESC NULLS LAST, created_at DESC NULLS LAST) AS age
    FROM sessions.participants WHERE known(id) IS NOT NULL
),
stay AS (
    SELECT
        school_id,
        coalesce('s' || known(student_id), 'a' || known(anonymous_id), 'p' || id) AS person,
        CASE word(connection_quality)
            WHEN 'excellent' THEN 100 WHEN 'good' THEN 75 WHEN 'fair' THEN 50 WHEN 'poor' THEN 25
        END AS stability,
        join_time AS present_from,
        least(greatest(coalesce(leave_time, span_end, join_time), join_time), join_time + INTERVAL 24 HOURS)
            AS present_until
    FROM keyed_participants JOIN span USING (session_id)
    WHERE age = 1 AND join_time IS NOT NULL AND school_id IS NOT NULL
),
presence AS (
    SELECT
        *,
        explode(sequence(
            date_trunc('hour', present_from),
            date_trunc('hour', greatest(present_until - INTERVAL 0.000001 SECOND, present_from)), INTERVAL 1 HOUR
        )) AS metric_hour
    FROM stay
),
participants_by_hour AS (
    SELECT
        school_id,
        metric_hour,
        count(DISTINCT person) AS students_active,
        avg(stability) AS avg_connection_stability,
        count(*) AS facts
    FROM presence GROUP BY school_id, metric_hour
),
marks AS (
    SELECT
        school_id,
        metric_hour,
        inline(array(
            struct(greatest(present_from, metric_hour) AS moment, 1 AS change),
            struct(least(present_until, metric_hour + INTERVAL 1 HOUR) AS moment, -1 AS change)
        ))
    FROM presence WHERE present_until > present_from
),
connected AS (
    SELECT
        school_id,
        metric_hour,
        -- Whoever leaves at an instant is gone before another comes at it.
        sum(change) OVER (PARTITION BY school_id, metric_hour ORDER BY moment, change ROWS UNBOUNDED PRECEDING) AS now
    FROM marks
),
connections AS (
    SELECT school_id, metric_hour, max(now) AS websocket_connections FROM connected GROUP BY school_id, metric_hour
),
events_by_hour AS (
    SELECT
        school_id, date_trunc('hour', event_time) AS metric_hour, avg(latency_ms) AS avg_latency_ms, count(*) AS facts
    FROM event JOIN span USING (session_id) GROUP BY 1, 2
),
keyed_transcriptions AS (
    SELECT
        id, session_id, start_time, end_time, is_final,
        CASE WHEN confidence_score BETWEEN 0 AND 1 THEN double(confidence_score) END AS confidence_score,
        coalesce(double(duration_seconds), (unix_micros(end_time) - unix_micros(start_time)) / 1e6D) AS seconds,
        row_number() OVER (PARTITION BY id ORDER BY created_at DESC NULLS LAST) AS age
    FROM sessions.transcriptions WHERE known(id) IS NOT NULL
),
transcriptions_by_hour AS (
    SELECT
        school_id,
        date_trunc('hour', start_time) AS metric_hour,
        100 * sum(confidence_score * seconds)
            / nullif(sum(seconds) FILTER (WHERE confidence_score IS NOT NULL), 0) AS avg_audio_quality,
        sum(seconds) / 60 AS total_transcription_minutes,
        count(*) AS facts
    FROM keyed_transcriptions JOIN span USING (session_id)
    WHERE age = 1 AND is_final AND start_time IS NOT NULL AND seconds >= 0 GROUP BY 1, 2
),
keyed_prompts AS (
    SELECT
        id, session_id, generated_at, used_at,
        row_number() OVER (PARTITION BY id ORDER BY updated_at DESC NULLS LAST, created_at DESC NULLS LAST) AS age
    FROM ai_insights.teacher_guidance_metrics WHERE known(id) IS NOT NULL
),
prompt_hours AS (
    SELECT
        school_id,
        date_trunc('hour', generated_at) AS generated_hour,
        date_trunc('hour', used_at) AS used_hour,
        explode(array_distinct(array(date_trunc('hour', generated_at), date_trunc('hour', used_at)))) AS metric_hour
    FROM keyed_prompts JOIN span USING (session_id) WHERE age = 1 AND generated_at IS NOT NULL
),
prompts_by_hour AS (
    SELECT
        school_id,
        metric_hour,
        count_if(generated_hour = metric_hour) AS total_prompts_generated,
        count_if(used_hour = metric_hour) AS total_prompts_used,
        count(*) AS facts
    FROM prompt_hours GROUP BY school_id, metric_hour
),
keyed_interventions AS (
    SELECT *, row_number() OVER (PARTITION BY id ORDER BY created_at DESC NULLS LAST) AS age
    FROM ai_insights.intervention_suggestions WHERE known(id) IS NOT NULL
),
interventions_by_hour AS (
    SELECT school_id, date_trunc('hour', acted_at) AS metric_hour, count(*) AS total_interventions, count(*) AS facts
    FROM keyed_interventions AS i JOIN span USING (session_id)
    WHERE age = 1 AND acted_upon AND acted_at IS NOT NULL AND i.created_at IS NOT NULL GROUP BY 1, 2
),
keyed_system_events AS (
    SELECT
        known(school_id) AS own_school_id, session_id, created_at, word(severity) AS severity,
        row_number() OVER (PARTITION BY id ORDER BY created_at DESC NULLS LAST) AS age
    FROM operational.system_events WHERE known(id) IS NOT NULL
),
system_events_by_hour AS (
    SELECT
        coalesce(own_school_id, span.school_id) AS school_id,
        date_trunc('hour', created_at) AS metric_hour,
        count_if(severity IN ('error', 'critical')) AS total_errors,
        count_if(severity IN ('warning', 'error', 'critical')) AS total_alerts,
        count(*) AS facts
    FROM keyed_system_events LEFT JOIN span USING (session_id)
    WHERE age = 1 AND created_at IS NOT NULL GROUP BY 1, 2
),
keyed_requests AS (
    SELECT *, row_number() OVER (PARTITION BY id ORDER BY `timestamp` DESC NULLS LAST) AS age
    FROM operational.api_metrics WHERE known(id) IS NOT NULL
),
requests_by_hour AS (
    SELECT
        known(school_id) AS school_id,
        date_trunc('hour', `timestamp`) AS metric_hour,
        avg(response_time_ms) FILTER (WHERE response_time_ms >= 0) AS avg_response_time,
        100D * count_if(status_code >= 500) / nullif(count(status_code), 0) AS error_rate,
        count(*) AS facts
    FROM keyed_requests WHERE age = 1 AND `timestamp` IS NOT NULL GROUP BY 1, 2
),
keyed_analyses AS (
    SELECT *, row_number() OVER (PARTITION BY id ORDER BY created_at DESC NULLS LAST) AS age
    FROM ai_insights.analysis_results WHERE known(id) IS NOT NULL
),
analyses_by_hour AS (
    SELECT
        school_id,
        date_trunc('hour', analysis_timestamp) AS metric_hour,
        avg(processing_time_ms) FILTER (WHERE processing_time_ms >= 0) AS avg_ai_processing_time,
        sum(double(processing_time_ms)) FILTER (WHERE processing_time_ms >= 0) AS processing_ms,
        count(*) AS ai_analyses_completed,
        count(*) AS facts
    FROM keyed_analyses JOIN span USING (session_id) WHERE age = 1 AND analysis_timestamp IS NOT NULL GROUP BY 1, 2
),
keyed_session_analyses AS (
    SELECT
        session_id, computed_at, failed_at, word(status) AS status,
        row_number() OVER (PARTITION BY id ORDER BY updated_at DESC NULLS LAST, created_at DESC NULLS LAST) AS age
    FROM analytics.session_analytics WHERE known(id) IS NOT NULL
),
session_analyses_by_hour AS (
    SELECT
        school_id,
        date_trunc('hour', CASE status WHEN 'completed' THEN computed_at WHEN 'failed' THEN failed_at END)
            AS metric_hour,
        100D * count_if(status = 'completed') / count(*) AS ai_analysis_success_rate,
        count(*) AS facts
    FROM keyed_session_analyses JOIN span USING (session_id) WHERE age = 1 GROUP BY 1, 2
),
keyed_recordings AS (
    SELECT *, row_number() OVER (PARTITION BY id ORDER BY created_at DESC NULLS LAST) AS age
    FROM audio.recordings WHERE known(id) IS NOT NULL
),
recorded_by_hour AS (
    SELECT
        school_id,
        date_trunc('hour', created_at) AS metric_hour,
        sum(double(file_size_bytes)) FILTER (WHERE file_size_bytes >= 0) AS recorded_bytes
    FROM keyed_recordings JOIN span USING (session_id) WHERE age = 1 AND created_at IS NOT NULL GROUP BY 1, 2
),
school_hour AS (
    SELECT school_id, metric_hour, sum(facts) AS data_sources_count, sum(recorded_bytes) AS recorded_bytes
    FROM (
        SELECT school_id, metric_hour, facts, NULL AS recorded_bytes FROM sessions_by_hour
        UNION ALL SELECT school_id, metric_hour, facts, NULL FROM participants_by_hour
        UNION ALL SELECT school_id, metric_hour, facts, NULL FROM events_by_hour
        UNION ALL SELECT school_id, metric_hour, facts, NULL FROM transcriptions_by_hour
        UNION ALL SELECT school_id, metric_hour, facts, NULL FROM prompts_by_hour
        UNION ALL SELECT school_id, metric_hour, facts, NULL FROM interventions_by_hour
        UNION ALL SELECT school_id, metric_hour, facts, NULL FROM system_events_by_hour
        UNION ALL SELECT school_id, metric_hour, facts, NULL FROM requests_by_hour
        UNION ALL SELECT school_id, metric_hour, facts, NULL FROM analyses_by_hour
        UNION ALL SELECT school_id, metric_hour, facts, NULL FROM session_analyses_by_hour
        UNION ALL SELECT school_id, metric_hour, 0, recorded_bytes FROM recorded_by_hour
    )
    WHERE school_id IS NOT NULL AND metric_hour IS NOT NULL GROUP BY school_id, metric_hour
),
stored AS (
    SELECT *, sum(recorded_bytes) OVER (PARTITION BY school_id ORDER BY metric_hour) AS stored_bytes FROM school_hour
)
SELECT
    sha2(concat_ws('|', 'classwaves.analytics.dashboard_metrics_hourly', f.school_id,
        date_format(f.metric_hour, "yyyy-MM-dd'T'HH:mm:ss'Z'")), 256) AS id,
    f.school_id,
    f.metric_hour,
    coalesce(sessions_active, 0) AS sessions_active,
    coalesce(sessions_completed, 0) AS sessions_completed,
    coalesce(teachers_active, 0) AS teachers_active,
    coalesce(students_active, 0) AS students_active,
    coalesce(total_groups, 0) AS total_groups,
    coalesce(ready_groups, 0) AS ready_groups,
    avg_session_quality,
    avg_engagement_score,
    avg_participation_rate,
    avg_collaboration_score,
    avg_audio_quality,
    avg_connection_stability,
    coalesce(total_errors, 0) AS total_errors,
    avg_response_time,
    coalesce(websocket_connections, 0) AS websocket_connections,
    avg_latency_ms,
    error_rate,
    coalesce(total_prompts_generated, 0) AS total_prompts_generated,
    coalesce(total_prompts_used, 0) AS total_prompts_used,
    coalesce(total_interventions, 0) AS total_interventions,
    coalesce(total_alerts, 0) AS total_alerts,
    coalesce(ai_analyses_completed, 0) AS ai_analyses_completed,
    avg_ai_processing_time,
    ai_analysis_success_rate,
    coalesce(total_transcription_minutes, 0D) AS total_transcription_minutes,
    coalesce(stored_bytes, 0D) / 1e9D AS total_storage_gb,
    coalesce(total_transcription_minutes, 0D) * 0.006D + coalesce(processing_ms, 0D) / 1000D * 0.00025D
        AS estimated_compute_cost,
    data_sources_count,
    'hourly_rollup' AS calculation_method
FROM stored AS f
LEFT JOIN sessions_by_hour USING (school_id, metric_hour)
LEFT JOIN participants_by_hour USING (school_id, metric_hour)
LEFT JOIN connections USING (school_id, metric_hour)
LEFT JOIN events_by_hour USING (school_id, metric_hour)
LEFT JOIN transcriptions_by_hour USING (school_id, metric_hour)
LEFT JOIN prompts_by_hour USING (school_id, metric_hour)
LEFT JOIN interventions_by_hour USING (school_id, metric_hour)
LEFT JOIN system_events_by_hour USING (school_id, metric_hour)
LEFT JOIN requests_by_hour USING (school_id, metric_hour)
LEFT JOIN analyses_by_hour USING (school_id, metric_hour)
LEFT JOIN session_analyses_by_hour USING (school_id, metric_hour)
WHERE data_sources_count > 0 AND f.metric_hour < current_timestamp()
