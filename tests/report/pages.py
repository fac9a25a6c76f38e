"""A page read back: what it asks for, and the data that it holds."""

from __future__ import annotations

import base64
import gzip
import json
import re
from html.parser import HTMLParser
from typing import Any

VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})


class Page(HTMLParser):
    """The elements of a page in order, with a complaint for every one that is not closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.complaints: list[str] = []
        self._open: list[tuple[str, str | None]] = []
        self.feed(html)
        self.close()
        self.complaints += [f"{tag} is not closed" for tag, _ in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append((tag, dict(attrs).get("id")))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1][0] != tag:
            self.complaints.append(f"</{tag}> closes {self._open[-1:]}")
        else:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][1]:
            self.texts[self._open[-1][1]] = self.texts.get(self._open[-1][1], "") + data

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        """The attributes of all elements of these tags."""
        return [attributes for tag, attributes in self.elements if tag in tags]

    @property
    def data(self) -> dict[str, Any]:
        """The data that the page holds, unpacked."""
        held: dict[str, Any] = json.loads(self.texts["data"])
        held["shared"] = unpacked(held["shared"])
        held["parts"] = {scope: unpacked(part) for scope, part in held["parts"].items()}
        return held


def unpacked(text: str) -> Any:
    """What a packed part of a page says."""
    return json.loads(gzip.decompress(base64.b64decode(text)))


def names_in(value: object) -> set[str]:
    """All names of members in a JSON value."""
    if isinstance(value, dict):
        return set(value) | {name for inner in value.values() for name in names_in(inner)}
    return {name for inner in value for name in names_in(inner)} if isinstance(value, list) else set()


def addresses_in(html: str) -> list[str]:
    """What attributes and style sheets of a page would fetch."""
    outside_scripts = re.sub(r"<script.*?</script>", "", html, flags=re.S)
    asked = re.findall(r"""\b(?:src|href|action|poster|data)\s*=\s*["']?([^"'\s>]+)""", outside_scripts)
    asked += re.findall(r"""(?:url\(|@import)\s*["']?([^"')\s]+)""", outside_scripts)
    return [address for address in asked if not address.startswith("#")]
