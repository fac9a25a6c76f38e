"""Settings that an operator may change, read from the environment (`CLASSWAVES_…`)."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from jobs.errors import UsageError
from transforms.metric_settings import MetricSettings

PREFIX = "CLASSWAVES_"


class Settings(BaseSettings):
    """One field per setting; `CLASSWAVES_MAX_SESSION_HOURS=12` sets `max_session_hours`.

    `load_settings` raises `UsageError` if a value is out of its range.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore")

    max_session_hours: int = Field(
        MetricSettings.max_session_hours,
        ge=1,
        le=168,
        description="A session with a recorded end ends after this many hours at the latest.",
    )
    open_session_hours: int = Field(
        MetricSettings.open_session_hours,
        ge=1,
        le=168,
        description="Assumed length in hours of a session without a recorded end.",
    )
    transcription_usd_per_minute: float = Field(
        MetricSettings.transcription_usd_per_minute,
        ge=0,
        le=1000,
        description="US dollars per transcribed minute, in `estimated_compute_cost`.",
    )
    analysis_usd_per_second: float = Field(
        MetricSettings.analysis_usd_per_second,
        ge=0,
        le=1000,
        description="US dollars per second of AI processing, in `estimated_compute_cost`.",
    )
    look_back_hours: int = Field(
        48, ge=0, le=87_600, description="How far a run looks back at a source with neither feed nor earlier version."
    )
    drift_tolerance: float = Field(
        0.5,
        gt=0,
        le=1_000_000,
        description="Share by which the number of a window's rows may differ from the mean of the four windows before"
        " it; beyond it there is a warning. Not checked if one of the four holds no row, or if the run covers selected"
        " hours, dates or periods.",
    )
    vacuum_retain_hours: int = Field(
        720, ge=168, le=876_000, description="Age in hours at which `maintain` deletes files that no version needs."
    )
    keep_checks_days: int = Field(
        90,
        ge=1,
        le=36_500,
        description="Age in days at which `maintain` deletes checks, runs, pages and resolved rows of the quarantine.",
    )
    data_docs_dir: Path | None = Field(
        None, description="Folder of the Data Docs; by default `_data_docs` in a local lakehouse, none for a catalog."
    )

    openlineage_url: str | None = Field(None, description="Receiver of OpenLineage events, by HTTP; none by default.")
    openlineage_file: Path | None = Field(
        None, description="File to which OpenLineage events are appended, one JSON object per line; none by default."
    )

    @field_validator("openlineage_url")
    @classmethod
    def _is_web_address(cls, url: str | None) -> str | None:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError("it should begin with http:// or https://")
        return url

    @property
    def metrics(self) -> MetricSettings:
        """The settings that affect the values of metrics."""
        return MetricSettings(**{field.name: getattr(self, field.name) for field in fields(MetricSettings)})


def environment_variable(setting: str) -> str:
    """The environment variable that sets a setting."""
    return f"{PREFIX}{setting}".upper()


def load_settings() -> Settings:
    """The settings of this process; raises `UsageError`, which names the first wrong one."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = environment_variable("_".join(str(part) for part in first["loc"]))
        raise UsageError(f"The setting {name} is wrong: {first['msg']}.") from error
