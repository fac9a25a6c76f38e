"""The file of a report: whole, or as it was before."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest

from jobs.errors import UsageError
from jobs.report.file import write_page


def test_a_page_replaces_the_one_before_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    for html in ("before", "after"):
        write_page(html, out)
    assert out.read_text(encoding="utf-8") == "after"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("number", "kind", "sentence"),
    [
        (errno.ENOSPC, OSError, "No space left on device"),
        (errno.EROFS, UsageError, "The file .* cannot be written: Read-only file system."),
    ],
)
def test_a_page_that_cannot_be_written_leaves_the_one_before(
    number: int, kind: type[Exception], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(file: Path, target: Path) -> NoReturn:
        del target
        raise OSError(number, os.strerror(number), str(file))

    out = tmp_path / "report.html"
    out.write_text("before", encoding="utf-8")
    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(kind, match=sentence):
        write_page("after", out)
    assert [file.read_text(encoding="utf-8") for file in tmp_path.iterdir()] == ["before"]
