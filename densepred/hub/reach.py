"""Hosts of downloads: can they be reached, without a long wait and without torch."""

from __future__ import annotations

import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

CONNECT_S = 1.8
"""Longest wait for a name and a connection. `urlopen` alone may wait for minutes where packets are dropped."""


def connect(url: str) -> None:
    """Raise OSError if nothing listens at the host of the address, or at its proxy, within CONNECT_S."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise OSError("not an http address")
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname):
        parts = urllib.parse.urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    where = (str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80))
    problems: list[OSError] = []
    begun = time.monotonic()

    def attempt() -> None:
        try:
            socket.create_connection(where, timeout=CONNECT_S).close()
        except OSError as error:
            problems.append(error)

    thread = threading.Thread(target=attempt, daemon=True)  # the resolver of names knows no time limit
    thread.start()
    thread.join(CONNECT_S)
    if thread.is_alive():
        raise OSError(f"{where[0]} did not answer within {time.monotonic() - begun:.1f} s")
    if problems:
        raise OSError(f"{where[0]}: {reason(problems[0])}")


def reason(error: Exception) -> str:
    """Return the cause of a failed download in a few words."""
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    found = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    return str(found).splitlines()[0] if str(found) else type(error).__name__
