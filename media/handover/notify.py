"""Telling systemd how things are (sd_notify(3)): a line in a datagram to the socket that it names."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

from media.repeat import Repeater

_LOG = logging.getLogger("strep.notify")

READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"
VARIABLE, WATCHDOG_VARIABLE, WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"
_US_PER_S = 1_000_000


def notify(state: str, environment: Mapping[str, str] | None = None) -> bool:
    """Send `state`; return whether somebody got it. Nobody there is no trouble: then nobody asked."""
    where = (os.environ if environment is None else environment).get(VARIABLE, "")
    if not where.startswith(("/", "@")):
        return False
    address = "\0" + where[1:] if where[0] == "@" else where
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto(state.encode(), address)
    except OSError as error:
        _LOG.warning("systemd cannot be told %s: %s", state, error)
        return False
    return True


def store(descriptor: int, name: str, environment: Mapping[str, str] | None = None) -> bool:
    """Let systemd keep `descriptor` for the next start (``FDSTORE=1``); return whether it was sent."""
    where = (os.environ if environment is None else environment).get(VARIABLE, "")
    if not where.startswith(("/", "@")):
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.connect("\0" + where[1:] if where[0] == "@" else where)
            socket.send_fds(sock, [f"FDSTORE=1\nFDNAME={name}".encode()], [descriptor])
    except OSError as error:
        _LOG.warning("systemd cannot be given %s: %s", name, error)
        return False
    return True


def watchdog_interval_s(environment: Mapping[str, str], pid: int) -> float | None:
    """Return how often systemd wants to hear that the process `pid` lives: twice in its time; None: not at all."""
    limit, whose = environment.get(WATCHDOG_VARIABLE, ""), environment.get(WATCHDOG_PID, "")
    if not limit.isdecimal() or not int(limit) or whose not in ("", str(pid)):
        return None
    return int(limit) / _US_PER_S / 2


def watchdog() -> Repeater | None:
    """Return what tells systemd from the event loop that it turns, for as long as it runs; None: nobody asks."""
    interval_s = watchdog_interval_s(os.environ, os.getpid())
    return Repeater(interval_s, _say_alive) if interval_s is not None else None


def _say_alive() -> None:
    notify(ALIVE)
