-- How well prompts work by ISO week, as one statement: what the job publishes by default, but for the stamps.
by_week AS (
    SELECT
        CASE WHEN prompt_category IN ('facilitation', 'deepening', 'redirection', 'collaboration', 'assessment',
                                      'energy', 'clarity') THEN prompt_category ELSE 'unknown' END AS prompt_category,
        CASE WHEN subject_area IN ('math', 'science', 'literature', 'history', 'general')
             THEN subject_area ELSE 'unknown' END AS subject_area,
        CASE WHEN session_phase IN ('opening', 'development', 'synthesis', 'closure')
             THEN session_phase ELSE 'unknown' END AS session_phase,
        CASE WHEN priority_level IN ('high', 'medium', 'low') THEN priority_level ELSE 'unknown' END AS priority_level,
        date_trunc('week', generated_at)::TIMESTAMP AS calculation_period_start,
        count(*) AS total_generated,
        count(acknowledged_at) AS total_acknowledged,
        count(used_at) AS total_used,
        count(dismissed_at) AS total_dismissed,
        avg(effectiveness_score) AS avg_effectiveness_score,
        avg(feedback_rating) AS avg_feedback_rating,
        avg(response_time) AS avg_response_time_seconds,
        avg(learning_outcome) AS avg_learning_impact,
        count(effectiveness_score) AS data_points,
        CASE WHEN data_points >= 2 THEN stddev_samp(effectiveness_score) END AS std_dev_effectiveness
    FROM prompt GROUP BY ALL
),
with_margin AS (
    SELECT
        *,
        calculation_period_start + INTERVAL 7 DAYS AS calculation_period_end,
        CASE WHEN data_points >= 5
             THEN student_t_95(data_points - 1) * std_dev_effectiveness / sqrt(data_points) END AS margin
    FROM by_week
)
SELECT
    sha256(concat_ws('|', 'classwaves.ai_insights.teacher_prompt_effectiveness', prompt_category, subject_area,
        session_phase, priority_level, iso(calculation_period_start), iso(calculation_period_end))) AS id,
    * EXCLUDE (margin),
    100.0 * total_acknowledged / total_generated AS acknowledgment_rate,
    100.0 * total_used / total_generated AS usage_rate,
    100.0 * total_dismissed / total_generated AS dismissal_rate,
    avg_effectiveness_score - margin AS confidence_interval_lower,
    avg_effectiveness_score + margin AS confidence_interval_upper
FROM with_margin
