"""The processes that jobs run in: how one names itself, and whether another has ended."""

from __future__ import annotations

import os
import socket
import zlib


def _host() -> str:
    try:
        numbered_in = os.readlink("/proc/self/ns/pid")  # containers with one host name may reuse process numbers
    except OSError:
        numbered_in = ""
    return f"{zlib.crc32((socket.gethostname() + numbered_in).encode()):08x}"


def this_process() -> str:
    """A name for this process, unique among all machines, in characters that a table's name may have."""
    return f"{_host()}_{os.getpid()}"


def has_ended(name: str) -> bool | None:
    """Whether the process of that name has ended; None for one of another machine."""
    host, _, process = name.partition("_")
    if host != _host() or not process.isdecimal():
        return None
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
