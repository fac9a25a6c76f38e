"""How far a rollup has followed its sources: told by the commits of its targets, and by the log of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from jobs import run_log
from jobs.lake import Commit, Lake, is_newer
from jobs.rollup import Rollup, W


@dataclass(frozen=True)
class Followed:
    """How far a rollup has followed its sources: their versions, and the start of the run that read them."""

    versions: Mapping[str, int]
    run_start: datetime

    @classmethod
    def read(cls, provenance: Mapping[str, object]) -> Followed | None:
        """From the provenance of a commit; None where it has none."""
        told = provenance.get("followed")
        if not isinstance(told, dict):
            return None
        return cls(dict(told["versions"]), datetime.fromisoformat(told["run_start"]))

    def as_json(self) -> dict[str, object]:
        """As a commit's provenance holds it."""
        return {"versions": dict(self.versions), "run_start": self.run_start.isoformat()}

    @property
    def distance(self) -> int:
        """Grows with each commit that is followed: versions only grow, while a clock may go back."""
        return sum(self.versions.values())


def followed_by(lake: Lake, rollup: Rollup[W], *, also_by_runs: bool = True) -> Followed | None:
    """How far the rollup has followed its sources: as far as all of its targets have.

    One that was dropped or restored alone is made whole with the others. Only the rollup's own commits count: those of
    several period lengths share a table. A run that found nothing to change made no commit: it counts `also_by_runs`.
    """
    if not all(map(lake.exists, rollup.targets)):
        return None
    commits = {table: lake.commits(table) for table in rollup.targets}
    found = [_followed_in(own, rollup.job_name) for own in commits.values()]
    by_commits = [followed for followed in found if followed]
    if len(by_commits) < len(rollup.targets):
        return None
    followed = min(by_commits, key=lambda each: each.distance)
    last = run_log.last_automatic(lake, rollup.job_name) if also_by_runs else None
    if last is None or not all(_stands(last, rollup.job_name, table, own) for table, own in commits.items()):
        return followed
    return max(followed, Followed(last.source_versions, last.run_start), key=lambda each: each.distance)


def _followed_in(commits: Sequence[Commit], job_name: str) -> Followed | None:
    own = (commit.provenance or {} for commit in commits if commit.is_of(job_name))
    return next(filter(None, map(Followed.read, own)), None)


def _stands(run: run_log.LastRun, job_name: str, table: str, commits: Sequence[Commit]) -> bool:
    """Whether the table still holds what the run left: no hand has changed it since, nor a run with older sources."""
    since = [commit for commit in commits if commit.version > run.target_versions.get(table, -1)]
    own = [commit for commit in since if commit.is_of(job_name)]
    return all(commit.is_ours or commit.keeps_rows for commit in since) and not any(
        is_newer(run.source_versions, (commit.provenance or {}).get("source_versions")) for commit in own
    )
