"""What is read from a payload, text by text."""

from __future__ import annotations

from pyspark.sql import functions as F

from tests.conftest import Table
from tests.transforms.assertions import assert_values
from transforms.payloads import group_id, latency_ms, with_payload_object


def test_a_payload_is_one_whole_json_object_and_nothing_else(table: Table) -> None:
    cases = table("""
        payload string            | expected string
        {}                        | {}
        {"a": [1, {"b": null}]}   | {"a":[1,{"b":null}]}
        '  {"a": "x"}  '          | {"a":"x"}
        [{"a": 1}]                | null
        []                        | null
        "text"                    | null
        7                         | null
        true                      | null
        'null'                    | null
        ''                        | null
        '  '                      | null
        null                      | null
        {"a": 1                   | null
        {'a': 1}                  | null
        {"a": NaN}                | null
        {"a": 1, "a": 2}          | {"a":2}
        '\t{"a": 1}\t'            | {"a":1}
        '\u00a0{"a": 1}'          | null
        {"a": 1} junk             | null
        {"a": 1} {"b": 2}         | null
        {"a": 1}, {"b": 2}        | null
        {"a": 1}],[{"b": 2}       | null
        {"a": 1},"end of payload" | null
        {"a": 1},"end of payload"] junk | null
        {"a": 1},"end of payload"],[1 | null
    """)
    assert_values(with_payload_object(cases), F.to_json("payload_object"))


def test_a_group_id_is_a_json_string(table: Table) -> None:
    cases = table("""
        payload string             | expected string
        {"groupId": "g1"}          | g1
        {"groupId": "7"}           | 7
        {"groupId": "2025-09-01"}  | 2025-09-01
        {"groupId": " g1 "}        | ' g1 '
        {"groupId": ""}            | ''
        {"groupId": 7}             | null
        {"groupId": true}          | null
        {"groupId": null}          | null
        {"groupId": ["g1"]}        | null
        {"groupId": {"id": "g1"}}  | null
        {"groupid": "g1"}          | null
        {"a": {"groupId": "g1"}}   | null
        {}                         | null
        null                       | null
    """)
    assert_values(with_payload_object(cases), group_id(F.col("payload_object")))


def test_a_latency_is_a_finite_json_number_of_at_least_0(table: Table) -> None:
    cases = table("""
        payload string                      | expected double
        {"latencyMs": 12}                   | 12.0
        {"latencyMs": 0}                    | 0.0
        {"latencyMs": 12.5}                 | 12.5
        {"latencyMs": 0.1}                  | 0.1
        {"latencyMs": 1e3}                  | 1000.0
        {"latencyMs": 12345678901234567890} | 12345678901234567890
        {"latencyMs": -0.001}               | null
        {"latencyMs": 1e999}                | null
        {"latencyMs": "12"}                 | null
        {"latencyMs": true}                 | null
        {"latencyMs": null}                 | null
        {"latencyMs": [12]}                 | null
        {"latencyMs": {"ms": 12}}           | null
        {}                                  | null
        null                                | null
    """)
    assert_values(with_payload_object(cases), latency_ms(F.col("payload_object")))
