"""A real browser without a window: Debian's Chromium, and axe, which knows the rules of accessibility."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
UNPACKED = ROOT / ".venv" / "chromium"
"""Where `make browser` unpacks Chromium for a user who may not install it."""
NO_BROWSER = "CLASSWAVES_NO_BROWSER"


def chromium() -> Path | None:
    """The browser's program; None where there is none."""
    unpacked = UNPACKED / "usr" / "lib" / "chromium" / "chromium-headless-shell"
    if unpacked.is_file():
        return unpacked
    return next((Path(found) for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def started() -> Iterator[Browser]:
    """The browser. It asks for nothing: what it shows are files."""
    program = chromium()
    if program is None:
        raise RuntimeError(f"There is no Chromium: call `make browser`, or set {NO_BROWSER}=1 to do without its tests.")
    libraries = [
        str(UNPACKED / "usr" / "lib" / "x86_64-linux-gnu"),
        str(UNPACKED / "usr" / "lib" / "aarch64-linux-gnu"),
    ]
    environment: dict[str, str | float | bool] = {**os.environ}
    if program.is_relative_to(UNPACKED):
        environment["LD_LIBRARY_PATH"] = ":".join([*libraries, os.environ.get("LD_LIBRARY_PATH", "")])
    with sync_playwright() as playwright:
        # Chromium's own sandbox wants a user that is not root.
        options = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=program, args=options, env=environment)
        try:
            yield browser
        finally:
            browser.close()


def axe_script() -> str:
    """axe-core, as a Python package carries it."""
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def violations(page: Any) -> list[str]:
    """What axe finds that is serious or worse, told by rule and element."""
    page.evaluate(axe_script())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {node['html'][:120]} ({node['failureSummary'][:200]})"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


if __name__ == "__main__":
    sys.exit(chromium() is None)
