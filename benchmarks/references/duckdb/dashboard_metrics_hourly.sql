-- The hourly rollup by its definitions, as one statement: what the job publishes but for the stamps.
keyed_participants AS (
    SELECT * FROM sessions.participants WHERE known(id) IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY updated_at DESC NULLS LAST, created_at DESC NULLS LAST) = 1
),
stay AS (
    SELECT
        school_id,
        coalesce('s' || known(student_id), 'a' || known(anonymous_id), 'p' || id) AS person,
        CASE word(connection_quality)
            WHEN 'excellent' THEN 100 WHEN 'good' THEN 75 WHEN 'fair' THEN 50 WHEN 'poor' THEN 25
        END AS stability,
        utc(join_time) AS present_from,
        least(
            greatest(coalesce(utc(leave_time), span_end, present_from), present_from), present_from + INTERVAL 24 HOURS
        ) AS present_until
    FROM keyed_participants JOIN span USING (session_id)
    WHERE join_time IS NOT NULL AND school_id IS NOT NULL
),
presence AS (
    SELECT *, hours_of(present_from, present_until) AS metric_hour FROM stay
),
marks AS (
    SELECT school_id, metric_hour, greatest(present_from, metric_hour) AS moment, 1 AS change
    FROM presence WHERE present_until > present_from
    UNION ALL
    SELECT school_id, metric_hour, present_until, -1
    FROM presence WHERE present_until > present_from AND present_until < metric_hour + INTERVAL 1 HOUR
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
    SELECT school_id, metric_hour, max(now) AS websocket_connections FROM connected GROUP BY ALL
),
participants_by_hour AS (
    SELECT
        school_id,
        metric_hour,
        count(DISTINCT person) AS students_active,
        avg(stability) AS avg_connection_stability,
        count(*) AS facts
    FROM presence GROUP BY ALL
),
session_hours AS (
    SELECT
        span.*,
        hours_of(start, span_end) AS metric_hour,
        true AS is_active,
        date_trunc('hour', recorded_end) IS NOT DISTINCT FROM metric_hour AS is_completed
    FROM span WHERE start IS NOT NULL AND school_id IS NOT NULL
    UNION ALL
    -- A session that ends on the hour is completed in an hour in which it is no longer active.
    SELECT span.*, recorded_end, false, true
    FROM span WHERE school_id IS NOT NULL AND recorded_end > start AND recorded_end = date_trunc('hour', recorded_end)
),
sessions_by_hour AS (
    SELECT
        school_id,
        metric_hour,
        count(*) FILTER (is_active) AS sessions_active,
        count(*) FILTER (is_completed) AS sessions_completed,
        count(DISTINCT teacher_id) FILTER (is_active) AS teachers_active,
        sum(groups) FILTER (is_active) AS total_groups,
        avg(quality) FILTER (is_active) AS avg_session_quality,
        avg(engagement_score) FILTER (is_active) AS avg_engagement_score,
        avg(participation_rate) FILTER (is_active) AS avg_participation_rate,
        sum(collaboration_sum) FILTER (is_active)
            / nullif(sum(collaboration_count) FILTER (is_active), 0) AS avg_collaboration_score,
        count(*) AS facts
    FROM session_hours JOIN quality USING (session_id) GROUP BY ALL
),
ready_by_hour AS (
    SELECT school_id, metric_hour, count(*) AS ready_groups
    FROM session_hours JOIN student_group USING (session_id)
    WHERE is_active AND ready_at < metric_hour + INTERVAL 1 HOUR GROUP BY ALL
),
events_by_hour AS (
    SELECT
        school_id,
        date_trunc('hour', event_time) AS metric_hour,
        avg(latency_ms) AS avg_latency_ms,
        count(*) AS facts
    FROM event JOIN span USING (session_id) GROUP BY ALL
),
transcriptions_by_hour AS (
    SELECT
        school_id,
        date_trunc('hour', start_time) AS metric_hour,
        100 * sum(confidence_score * seconds)
            / nullif(sum(seconds) FILTER (confidence_score IS NOT NULL), 0) AS avg_audio_quality,
        sum(seconds) / 60 AS total_transcription_minutes,
        count(*) AS facts
    FROM transcription JOIN span USING (session_id) GROUP BY ALL
),
prompt_hours AS (
    SELECT
        school_id,
        date_trunc('hour', generated_at) AS generated_hour,
        date_trunc('hour', used_at) AS used_hour,
        unnest(list_distinct([generated_hour, used_hour])) AS metric_hour
    FROM prompt JOIN span USING (session_id)
),
prompts_by_hour AS (
    SELECT
        school_id,
        metric_hour,
        count(*) FILTER (generated_hour = metric_hour) AS total_prompts_generated,
        count(*) FILTER (used_hour = metric_hour) AS total_prompts_used,
        count(*) AS facts
    FROM prompt_hours GROUP BY ALL
),
interventions_by_hour AS (
    SELECT school_id, date_trunc('hour', acted_at) AS metric_hour, count(*) AS total_interventions, count(*) AS facts
    FROM intervention JOIN span USING (session_id)
    WHERE acted_upon AND acted_at IS NOT NULL GROUP BY ALL
),
keyed_system_events AS (
    SELECT * FROM operational.system_events WHERE known(id) IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY created_at DESC NULLS LAST) = 1
),
system_events_by_hour AS (
    SELECT
        coalesce(known(e.school_id), span.school_id) AS school_id,
        date_trunc('hour', utc(e.created_at)) AS metric_hour,
        count(*) FILTER (word(severity) IN ('error', 'critical')) AS total_errors,
        count(*) FILTER (word(severity) IN ('warning', 'error', 'critical')) AS total_alerts,
        count(*) AS facts
    FROM keyed_system_events AS e LEFT JOIN span USING (session_id)
    WHERE e.created_at IS NOT NULL GROUP BY ALL
),
keyed_requests AS (
    SELECT * FROM operational.api_metrics WHERE known(id) IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY id) = 1
),
requests_by_hour AS (
    SELECT
        known(school_id) AS school_id,
        date_trunc('hour', utc("timestamp")) AS metric_hour,
        avg(response_time_ms) FILTER (response_time_ms >= 0) AS avg_response_time,
        100.0 * count(*) FILTER (status_code >= 500) / nullif(count(status_code), 0) AS error_rate,
        count(*) AS facts
    FROM keyed_requests WHERE "timestamp" IS NOT NULL GROUP BY ALL
),
keyed_analyses AS (
    SELECT * FROM ai_insights.analysis_results WHERE known(id) IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY created_at DESC NULLS LAST) = 1
),
analyses_by_hour AS (
    SELECT
        school_id,
        date_trunc('hour', utc(analysis_timestamp)) AS metric_hour,
        avg(processing_time_ms) FILTER (processing_time_ms >= 0) AS avg_ai_processing_time,
        sum(processing_time_ms) FILTER (processing_time_ms >= 0) AS processing_ms,
        count(*) AS facts
    FROM keyed_analyses JOIN span USING (session_id) WHERE analysis_timestamp IS NOT NULL GROUP BY ALL
),
keyed_session_analyses AS (
    SELECT * FROM analytics.session_analytics WHERE known(id) IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY updated_at DESC NULLS LAST, created_at DESC NULLS LAST) = 1
),
session_analyses_by_hour AS (
    SELECT
        school_id,
        date_trunc('hour', utc(CASE word(status) WHEN 'completed' THEN computed_at WHEN 'failed' THEN failed_at END))
            AS metric_hour,
        100.0 * count(*) FILTER (word(status) = 'completed') / count(*) AS ai_analysis_success_rate,
        count(*) AS facts
    FROM keyed_session_analyses JOIN span USING (session_id) GROUP BY ALL
),
keyed_recordings AS (
    SELECT * FROM audio.recordings WHERE known(id) IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY created_at DESC NULLS LAST) = 1
),
recorded AS (
    SELECT
        school_id,
        date_trunc('hour', utc(created_at)) AS recorded_hour,
        sum(file_size_bytes::DOUBLE) FILTER (file_size_bytes >= 0) AS recorded_bytes
    FROM keyed_recordings JOIN span USING (session_id)
    WHERE created_at IS NOT NULL AND school_id IS NOT NULL GROUP BY ALL
),
stored AS (
    SELECT
        school_id,
        recorded_hour,
        sum(recorded_bytes) OVER (PARTITION BY school_id ORDER BY recorded_hour) AS stored_bytes
    FROM recorded
),
facts_by_hour AS (
    SELECT school_id, metric_hour, sum(facts) AS data_sources_count
    FROM (
        SELECT school_id, metric_hour, facts FROM participants_by_hour
        UNION ALL SELECT school_id, metric_hour, facts FROM sessions_by_hour
        UNION ALL SELECT school_id, metric_hour, facts FROM events_by_hour
        UNION ALL SELECT school_id, metric_hour, facts FROM transcriptions_by_hour
        UNION ALL SELECT school_id, metric_hour, facts FROM prompts_by_hour
        UNION ALL SELECT school_id, metric_hour, facts FROM interventions_by_hour
        UNION ALL SELECT school_id, metric_hour, facts FROM system_events_by_hour
        UNION ALL SELECT school_id, metric_hour, facts FROM requests_by_hour
        UNION ALL SELECT school_id, metric_hour, facts FROM analyses_by_hour
        UNION ALL SELECT school_id, metric_hour, facts FROM session_analyses_by_hour
    )
    WHERE school_id IS NOT NULL AND metric_hour IS NOT NULL AND metric_hour < utc(now())
    GROUP BY ALL
)
SELECT
    sha256('classwaves.analytics.dashboard_metrics_hourly|' || f.school_id || '|' || iso(f.metric_hour)) AS id,
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
    coalesce(analyses_by_hour.facts, 0) AS ai_analyses_completed,
    avg_ai_processing_time,
    ai_analysis_success_rate,
    coalesce(t.total_transcription_minutes, 0) AS total_transcription_minutes,
    coalesce(stored_bytes, 0) / 1e9 AS total_storage_gb,
    coalesce(t.total_transcription_minutes, 0) * 0.006 + coalesce(processing_ms, 0) / 1000 * 0.00025
        AS estimated_compute_cost,
    data_sources_count,
    'hourly_rollup' AS calculation_method
FROM facts_by_hour AS f
LEFT JOIN participants_by_hour USING (school_id, metric_hour)
LEFT JOIN connections USING (school_id, metric_hour)
LEFT JOIN sessions_by_hour USING (school_id, metric_hour)
LEFT JOIN ready_by_hour USING (school_id, metric_hour)
LEFT JOIN events_by_hour USING (school_id, metric_hour)
LEFT JOIN transcriptions_by_hour AS t USING (school_id, metric_hour)
LEFT JOIN prompts_by_hour USING (school_id, metric_hour)
LEFT JOIN interventions_by_hour USING (school_id, metric_hour)
LEFT JOIN system_events_by_hour USING (school_id, metric_hour)
LEFT JOIN requests_by_hour USING (school_id, metric_hour)
LEFT JOIN analyses_by_hour USING (school_id, metric_hour)
LEFT JOIN session_analyses_by_hour USING (school_id, metric_hour)
ASOF LEFT JOIN stored ON stored.school_id = f.school_id AND stored.recorded_hour <= f.metric_hour
