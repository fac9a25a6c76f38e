"""Spark's settings while a run reads many rows or few, where the session's settings are ours to choose."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from jobs.lake import Lake

_ORIGINAL_SETTINGS = "spark.classwaves.settings_original"
_ADAPTIVE = "spark.sql.adaptive.enabled"
_FOR_FEW_ROWS = {
    _ADAPTIVE: "false",
    "spark.sql.autoBroadcastJoinThreshold": "-1",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}
"""With adaptive execution every exchange becomes a Spark job, and every broadcast is one even without it.

For few rows, sorting and joining in one task is quicker than launching those jobs, and interpreting an expression is
quicker than compiling it.
"""
_FOR_MANY_ROWS = {"spark.sql.codegen.wholeStage": "true", "spark.sql.codegen.factoryMode": "FALLBACK"}
"""For many rows expressions are compiled, whatever the session had at first."""


def tune(lake: Lake, are_many: Callable[[], bool], *, adaptive: bool = False) -> None:
    """Sets what suits few rows or, for many, the session's original settings with compiled expressions.

    Only within `settings_restored`. Does nothing, and does not ask, where the platform chooses its own settings.
    """
    if not lake.storage.may_tune:
        return
    conf = lake.spark.conf
    original = conf.get(_ORIGINAL_SETTINGS, None)
    if original is None:
        original = json.dumps({name: conf.get(name) for name in _FOR_FEW_ROWS})
        conf.set(_ORIGINAL_SETTINGS, original)
    for_many = {**json.loads(original), **_FOR_MANY_ROWS, **({_ADAPTIVE: "true"} if adaptive else {})}
    for name, value in (for_many if are_many() else _FOR_FEW_ROWS).items():
        conf.set(name, value)


@contextmanager
def settings_restored(lake: Lake) -> Iterator[None]:
    """Restores the session's settings at the end: what runs in it later may have many rows."""
    if not lake.storage.may_tune:
        yield
        return
    conf = lake.spark.conf
    try:
        yield
    finally:
        with suppress(Exception):  # of a session that is gone: it must not hide an earlier error
            original = conf.get(_ORIGINAL_SETTINGS, None)
            if original is not None:
                for name, value in json.loads(original).items():
                    conf.set(name, value)
                conf.unset(_ORIGINAL_SETTINGS)
