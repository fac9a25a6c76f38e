"""Whether a host accepts connections: clients that retry would report only after minutes that it does not."""

from __future__ import annotations

import os
import socket
import time
from urllib.request import getproxies, proxy_bypass

SECONDS_TO_ANSWER = 10
"""For how long an address is tried: what listens there may be just starting."""


def answers(host: str, port: int) -> bool:
    """Whether a connection is accepted; True, without a try, if connections go through a proxy."""
    has_proxy = {"http", "https", "all"} & set(getproxies()) or "grpc_proxy" in map(str.lower, os.environ)
    if has_proxy and not proxy_bypass(host):
        return True
    until = time.monotonic() + SECONDS_TO_ANSWER
    while True:
        try:
            socket.create_connection((host, port), max(1.0, until - time.monotonic())).close()
        except OSError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.5)
        else:
            return True
