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
from media.handover.moving import put_in, take_out
from media.handover.notify import notify, store
from media.server import Server

_LOG = logging.getLogger("strep.handover")


def leave(server: Server) -> None:
    """Leave all UDP calls with systemd, if it takes them: else they end here as they would have."""
    sockets, attach = server.doors.detach()
    if sockets.ws is not None:
        sockets.ws.close()
    moved, tell = take_out(server.engine, server.doors.strep, server.doors.rtp)
    tell()
    descriptor = write(moved)
    try:
        if not store(descriptor, CALLS):
            put_in(decode(encode(moved)), server.engine, server.doors.strep, server.doors.rtp)
            attach()
            return
    finally:
        os.close(descriptor)
    _LOG.info("left with systemd", extra={"calls": len(moved.calls)})


def write(moved: Moved) -> int:
    """Return the descriptor of a file in memory with all of it."""
    descriptor = os.memfd_create(CALLS, os.MFD_CLOEXEC)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(encode(moved))
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

    What cannot be understood is dropped, with a warning: its calls begin anew.
    """
    if not left:
        return None

    def take_in() -> None:
        for descriptor in left:
            try:
                moved = read(descriptor)
                put_in(moved, server.engine, server.doors.strep, server.doors.rtp)
                _LOG.info("took over from systemd", extra={"calls": len(moved.calls)})
            except ValueError as error:
                _LOG.warning("calls of the process before begin anew, it was of another version: %s", error)
        notify(f"FDSTOREREMOVE=1\nFDNAME={CALLS}")

    return take_in
