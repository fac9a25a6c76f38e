"""What metrics read from the JSON payload of a session event."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

_JSON_WHITE_SPACE = " \t\n\r"


def with_payload_object(rows: DataFrame) -> DataFrame:
    """The rows with `payload_object`: their `payload` as a VARIANT if it is exactly one JSON object, else null.

    If a member name is repeated, the last one wins, as in JSON parsers (`spark.sql.variant.allowDuplicateKeys`).
    """
    payload, parsed = F.col("payload"), F.col("parsed_payload")
    # The parser stops at the end of the first value and would take `{} junk` for an object. Inside an array closed by a
    # sentinel, junk breaks the array or makes it longer. The payload's own hash, because no payload can contain that.
    sentinel = F.md5(payload)
    # A separate column, because an expression that is used three times would parse the text three times.
    in_array = F.try_parse_json(F.concat(F.lit("["), payload, F.lit(',"'), sentinel, F.lit('"]')))
    is_closed = (F.try_variant_get(parsed, "$[1]", "string") == sentinel) & (
        F.try_variant_get(parsed, "$[2]", "variant").isNull()
    )
    is_object = payload.startswith("{") | F.ltrim(payload, F.lit(_JSON_WHITE_SPACE)).startswith("{")
    value = F.when(is_object & is_closed, F.try_variant_get(parsed, "$[0]", "variant"))
    return rows.withColumn("parsed_payload", in_array).withColumn("payload_object", value).drop("parsed_payload")


def _kind_of_member(payload: Column, path: str) -> Column:
    return F.schema_of_variant(F.try_variant_get(payload, path, "variant"))


def group_id(payload: Column) -> Column:
    """`groupId` of a payload object if it is a JSON string, else null."""
    is_text = _kind_of_member(payload, "$.groupId") == "STRING"
    return F.when(is_text, F.try_variant_get(payload, "$.groupId", "string"))


def latency_ms(payload: Column) -> Column:
    """`latencyMs` of a payload object, in milliseconds, if it is a finite JSON number of at least 0, else null."""
    kind = _kind_of_member(payload, "$.latencyMs")
    is_number = kind.isin("BIGINT", "DOUBLE", "FLOAT") | kind.startswith("DECIMAL")
    value = F.try_variant_get(payload, "$.latencyMs", "double")
    return F.when(is_number & (value >= 0) & (value < float("inf")), value)
