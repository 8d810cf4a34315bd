"""Calls on systemd's shelf: a process that ends leaves them with systemd (``FDSTORE=1``), and the next one goes on.

systemd holds the sockets meanwhile, in which all packets wait. What was left it forgets when the unit is stopped and
not restarted; the recordings are then finished at the next start (`media.sinks.salvage`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence

from media.handover.activation import CALLS
from media.handover.moved import Moved, decode, encode
from media.handover.moving import put_in
from media.handover.notify import notify
from media.server import Server
from strep.errors import ConfigurationError

_LOG = logging.getLogger("strep.handover")
_FORGET = f"FDSTOREREMOVE=1\nFDNAME={CALLS}"


def write(moved: Moved) -> int:
    """Return the descriptor of a file in memory with all of it."""
    descriptor = os.memfd_create(CALLS, os.MFD_CLOEXEC)
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(encode(moved))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read(descriptor: int) -> Moved:
    """Return what `write` has written, and close it.

    Raises:
        ValueError: something else is there.
    """
    with os.fdopen(descriptor, "rb") as file:
        file.seek(0)
        return decode(file.read())


def taking(left: Sequence[int], server: Server) -> Callable[[], None] | None:
    """Return what puts into `server` what a process before has left, None if there is nothing.

    What cannot be taken is dropped, with a warning: its calls begin anew. It would not be better at the next start.
    """
    if not left:
        return None

    def take_in() -> None:
        try:
            for descriptor in left:
                _take_in(descriptor, server)
        finally:
            notify(_FORGET)

    return take_in


def _take_in(descriptor: int, server: Server) -> None:
    try:
        moved = read(descriptor)
        put_in(moved, server.engine, server.doors.strep, server.doors.rtp)
        _LOG.info("took over from systemd", extra={"calls": len(moved.calls)})
    except (ValueError, ConfigurationError) as error:
        _LOG.warning("calls that the process before has left begin anew: %s", error)
    except Exception:  # whatever another version has written: with it this one would never start again
        _LOG.exception("calls that the process before has left begin anew")


def forget(left: Sequence[int]) -> None:
    """Take what a process before has left off the shelf where nobody goes on with it: its calls begin anew."""
    if not left:
        return
    _LOG.warning(
        "calls that the process before has left with systemd begin anew: only one process can go on with them"
    )
    for descriptor in left:
        os.close(descriptor)
    notify(_FORGET)
