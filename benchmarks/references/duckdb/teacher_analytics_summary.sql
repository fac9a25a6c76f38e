-- The daily summary of teachers by its definitions, as one statement: what the job publishes but for the stamps.
keyed_teachers AS (
    SELECT * FROM users.teachers WHERE known(id) IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY updated_at DESC NULLS LAST, created_at DESC NULLS LAST) = 1
),
profile AS (
    SELECT
        id AS teacher_id,
        known(school_id) AS teacher_school_id,
        CASE
            WHEN contains(timezone, '/') AND NOT starts_with(timezone, 'SystemV/')
                 AND timezone IN (SELECT name FROM pg_timezone_names()) THEN timezone
            ELSE 'UTC'
        END AS zone
    FROM keyed_teachers
),
groups_of_session AS (
    SELECT
        session_id,
        count(*) AS groups,
        count(*) FILTER (student_group.status = 'completed') AS completed_groups,
        sum(collaboration_score) AS collaboration_sum,
        count(collaboration_score) AS collaboration_count,
        sum(argumentation_quality) AS argumentation_sum,
        count(argumentation_quality) AS argumentation_count,
        sum(discussion_quality) AS discussion_sum,
        count(discussion_quality) AS discussion_count,
        sum(greatest(seconds_between(coalesce(configured_at, start), ready_at), 0)) FILTER (ready_at IS NOT NULL)
            / 60 AS readiness_sum,
        count(ready_at) AS readiness_count
    FROM student_group JOIN span USING (session_id) GROUP BY ALL
),
transcriptions_of_session AS (
    SELECT session_id, count(*) AS final_transcriptions FROM transcription GROUP BY ALL
),
suggestions_of_session AS (
    SELECT
        session_id,
        count(*) AS suggestions,
        count(*) FILTER (acted_upon) AS interventions,
        sum(seconds_between(created_at, acted_at)) FILTER (acted_upon AND acted_at >= created_at) AS reaction_sum,
        count(*) FILTER (acted_upon AND acted_at >= created_at) AS reaction_count
    FROM intervention GROUP BY ALL
),
dated_session AS (
    SELECT
        span.*,
        teacher_school_id,
        timezone(coalesce(zone, 'UTC'), make_timestamptz(epoch_us(start)))::DATE AS summary_date
    FROM span LEFT JOIN profile USING (teacher_id)
    WHERE span.teacher_id IS NOT NULL AND start IS NOT NULL
),
sessions_by_date AS (
    SELECT
        teacher_id,
        summary_date,
        any_value(teacher_school_id) AS teacher_school_id,
        min(school_id) AS session_school_id,
        count(*) AS total_sessions,
        avg(quality) AS avg_session_score,
        avg(participation_rate) AS avg_participation_rate,
        avg(engagement_score) AS avg_engagement_score,
        sum(coalesce(actual_duration_minutes, floor(seconds_between(start, recorded_end) / 60), 0))
            AS total_session_duration_minutes,
        sum(g.collaboration_sum) / nullif(sum(g.collaboration_count), 0) AS avg_collaboration_score,
        sum(argumentation_sum) / nullif(sum(argumentation_count), 0) AS avg_critical_thinking_score,
        sum(discussion_sum) / nullif(sum(discussion_count), 0) AS avg_discussion_quality_score,
        sum(readiness_sum) / nullif(sum(readiness_count), 0) AS avg_group_readiness_time,
        sum(reaction_sum) / nullif(sum(reaction_count), 0) AS avg_alert_response_time,
        sum(g.groups) AS groups,
        100.0 * sum(completed_groups) / sum(g.groups) AS avg_group_completion_rate,
        sum(interventions) AS total_interventions,
        sum(suggestions) AS total_alerts_generated,
        sum(session_events) AS session_events,
        sum(leader_ready_events) AS total_leader_ready_events,
        sum(final_transcriptions) AS final_transcriptions
    FROM dated_session
    JOIN quality USING (session_id)
    LEFT JOIN groups_of_session AS g USING (session_id)
    LEFT JOIN transcriptions_of_session USING (session_id)
    LEFT JOIN suggestions_of_session USING (session_id)
    GROUP BY ALL
),
prompt_of_teacher AS (
    SELECT prompt.* EXCLUDE (teacher_id), coalesce(prompt.teacher_id, span.teacher_id) AS teacher_id
    FROM prompt JOIN span USING (session_id)
),
prompts_by_date AS (
    SELECT
        teacher_id,
        timezone(coalesce(zone, 'UTC'), make_timestamptz(epoch_us(generated_at)))::DATE AS summary_date,
        any_value(teacher_school_id) AS teacher_school_id,
        count(*) AS total_prompts_shown,
        count(used_at) AS total_prompts_used,
        count(dismissed_at) AS total_prompts_dismissed,
        avg(response_time) AS avg_prompt_response_time,
        avg(effectiveness_score) AS avg_effectiveness_score
    FROM prompt_of_teacher LEFT JOIN profile USING (teacher_id)
    WHERE teacher_id IS NOT NULL GROUP BY ALL
),
day AS (
    SELECT
        * EXCLUDE (teacher_school_id),
        coalesce(s.teacher_school_id, p.teacher_school_id, session_school_id) AS school_id,
        coalesce(total_sessions, 0) + coalesce(total_prompts_shown, 0) AS data_points
    FROM sessions_by_date AS s FULL JOIN prompts_by_date AS p USING (teacher_id, summary_date)
),
scored AS (
    SELECT teacher_id, summary_date, summary_date - DATE '2000-01-01' AS x, avg_session_score AS y
    FROM day WHERE avg_session_score IS NOT NULL
),
point AS (
    SELECT day.teacher_id, day.summary_date, x, y
    FROM day JOIN scored ON scored.teacher_id = day.teacher_id
        AND scored.summary_date BETWEEN day.summary_date - 27 AND day.summary_date
),
line AS (
    SELECT
        teacher_id,
        summary_date,
        count(*) AS k,
        avg(x) AS mean_x,
        avg(y) AS mean_y,
        var_pop(x) * k AS spread,
        covar_pop(y, x) * k / spread AS slope
    FROM point GROUP BY ALL HAVING k >= 5
),
residual AS (
    SELECT
        teacher_id,
        summary_date,
        any_value(slope) AS slope,
        any_value(student_t_95(k - 2)) * sqrt(sum((y - mean_y - slope * (x - mean_x)) ** 2)
            / any_value((k - 2) * spread)) AS margin
    FROM point JOIN line USING (teacher_id, summary_date) GROUP BY ALL
),
peers AS (
    SELECT
        *,
        -- Of a teacher with a score: what all have less the own is what the others have.
        count(avg_session_score) OVER of_date - 1 AS others,
        (sum(avg_session_score) OVER of_date - avg_session_score) / nullif(others, 0) AS mean_of_others,
        count(avg_session_score) OVER of_school - 1 AS colleagues,
        (sum(avg_session_score) OVER of_school - avg_session_score) / nullif(colleagues, 0) AS mean_of_colleagues
    FROM day
    WINDOW of_date AS (PARTITION BY summary_date), of_school AS (PARTITION BY summary_date, school_id)
)
SELECT
    sha256('classwaves.analytics.teacher_analytics_summary|' || teacher_id || '|' || strftime(summary_date, '%Y-%m-%d'))
        AS id,
    teacher_id,
    school_id,
    summary_date,
    coalesce(total_sessions, 0) AS total_sessions,
    coalesce(total_session_duration_minutes, 0) AS total_session_duration_minutes,
    coalesce(total_prompts_shown, 0) AS total_prompts_shown,
    coalesce(total_prompts_used, 0) AS total_prompts_used,
    coalesce(total_prompts_dismissed, 0) AS total_prompts_dismissed,
    coalesce(total_interventions, 0) AS total_interventions,
    coalesce(total_alerts_generated, 0) AS total_alerts_generated,
    coalesce(total_leader_ready_events, 0) AS total_leader_ready_events,
    avg_session_score,
    avg_participation_rate,
    avg_engagement_score,
    avg_prompt_response_time,
    avg_effectiveness_score,
    avg_collaboration_score,
    avg_critical_thinking_score,
    avg_discussion_quality_score,
    100.0 * total_prompts_used / total_prompts_shown AS prompt_usage_rate,
    coalesce(total_interventions, 0) / total_sessions AS avg_intervention_rate,
    avg_alert_response_time,
    avg_group_completion_rate,
    avg_group_readiness_time,
    CASE WHEN others >= 5 THEN avg_session_score - mean_of_others END AS vs_peer_average,
    CASE WHEN colleagues >= 5 AND school_id IS NOT NULL THEN avg_session_score - mean_of_colleagues END
        AS vs_school_average,
    CASE
        WHEN slope IS NULL THEN 'insufficient_data'
        WHEN round(slope - margin, 9) > 0 THEN 'improving'
        WHEN round(slope + margin, 9) < 0 THEN 'declining'
        ELSE 'stable'
    END AS improvement_trend,
    data_points / (data_points + 10) AS confidence_score,
    len(list_filter([avg_session_score, avg_participation_rate, avg_engagement_score, avg_prompt_response_time,
        avg_effectiveness_score, avg_collaboration_score, avg_critical_thinking_score, avg_discussion_quality_score],
        lambda average: average IS NOT NULL)) / 8 AS data_quality_score,
    data_points + coalesce(final_transcriptions, 0) AS data_points_included,
    'daily_rollup' AS calculation_method,
    to_json(list_filter([
        CASE WHEN total_prompts_shown > 0 THEN 'classwaves.ai_insights.teacher_guidance_metrics' END,
        CASE WHEN session_events > 0 THEN 'classwaves.analytics.session_events' END,
        CASE WHEN total_sessions > 0 THEN 'classwaves.sessions.classroom_sessions' END,
        CASE WHEN groups > 0 THEN 'classwaves.sessions.student_groups' END,
        CASE WHEN final_transcriptions > 0 THEN 'classwaves.sessions.transcriptions' END
    ], lambda name: name IS NOT NULL))::VARCHAR AS source_tables
FROM peers LEFT JOIN residual USING (teacher_id, summary_date)
