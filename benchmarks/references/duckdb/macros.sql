-- What the statements share that is no table. White space is all that Unicode calls so, and the four ASCII separators.
CREATE MACRO white_space() AS
    E'\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f ' || chr(133) || chr(160) || chr(5760) || chr(8192) || chr(8193) || chr(8194)
    || chr(8195) || chr(8196) || chr(8197) || chr(8198) || chr(8199) || chr(8200) || chr(8201) || chr(8202) || chr(8232)
    || chr(8233) || chr(8239) || chr(8287) || chr(12288);
-- A key or a reference: exact, but null where it is blank. To trim millions of keys would take most of the time.
CREATE MACRO is_visible(letter) AS letter >= '!' AND letter < chr(127);
CREATE MACRO known(name) AS CASE WHEN is_visible(name) THEN name WHEN trim(name, white_space()) <> '' THEN name END;
-- A text of a domain.
CREATE MACRO word(name) AS lower(
    CASE WHEN is_visible(left(name, 1)) AND is_visible(right(name, 1)) THEN name ELSE trim(name, white_space()) END);
-- Sessions of DuckDB read instants with a zone; in UTC without one they are compared and cut several times as fast.
CREATE MACRO utc(instant) AS make_timestamp(epoch_us(instant));
CREATE MACRO seconds_between(earlier, later) AS (epoch_us(later) - epoch_us(earlier)) / 1e6;
CREATE MACRO between_or_null(value, low, high) AS CASE WHEN value BETWEEN low AND high THEN value::DOUBLE END;
CREATE MACRO hours_of(start, until) AS unnest(generate_series(
    date_trunc('hour', start), date_trunc('hour', greatest(until - INTERVAL 1 MICROSECOND, start)), INTERVAL 1 HOUR));
CREATE MACRO iso(instant) AS strftime(instant, '%Y-%m-%dT%H:%M:%SZ');
-- The two-sided 95 % bound of Student's t: above 30 degrees of freedom an expansion in powers of 1 / degrees.
CREATE MACRO student_t_95(degrees) AS CASE
    WHEN degrees <= 30 THEN list_extract([
        12.7062047361747046, 4.30265272974946385, 3.18244630528370959, 2.77644510519779436, 2.57058183563631551,
        2.44691185114496997, 2.36462425159278534, 2.30600413520416668, 2.26215716279820554, 2.22813885198627475,
        2.20098516009163987, 2.17881282966722887, 2.1603686564627925, 2.14478668791780383, 2.13144954555977568,
        2.11990529922125467, 2.10981557783331709, 2.10092204024103849, 2.09302405440830977, 2.08596344726586484,
        2.0796138447276804, 2.07387306790402617, 2.06865761041904865, 2.06389856162802585, 2.05953855275329775,
        2.05552943864287321, 2.05183051648028556, 2.04840714179524516, 2.0452296421327043, 2.04227245630123831
    ]::DOUBLE[], degrees)
    ELSE 1.9599639845400542 + (2.3722712302985628 + (2.8224986157396118 + (2.5558496795077233 + (1.5895340533938235
        + (0.7328982119816057 + 0.6274804609510736 / degrees) / degrees) / degrees) / degrees) / degrees) / degrees
END;
