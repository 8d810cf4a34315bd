"""`Departure`: all UDP calls of a server on their way out, and back again if nobody takes them.

Whatever fails on the way: a server that has let its calls go and stopped listening, and goes on, would be deaf.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from types import TracebackType
from typing import Self

from media.handover.activation import CALLS
from media.handover.moved import Moved, decode, encode
from media.handover.moving import put_in, take_out
from media.handover.notify import store
from media.handover.shelf import write
from media.server import Server
from media.sockets import BoundSockets

_LOG = logging.getLogger("strep.handover")


class Departure:
    """A context; with an exception in it the calls are taken back.

    Attributes:
        descriptor: of a file in memory with `media.handover.moved.Moved`; -1 until they are `out`.
        sockets: where they came in; what comes there waits in the kernel.
        calls: how many they are.
    """

    def __init__(self, server: Server) -> None:
        """Begin; they are not `out` yet."""
        self.sockets, self.calls, self.descriptor = BoundSockets(), 0, -1
        self._server = server
        self._moved: Moved | None = None
        self._tell: Callable[[], None] | None = None
        self._attach: Callable[[], None] | None = None

    def out(self) -> None:
        """Take them out of the server, which receives nothing by UDP any more."""
        server = self._server
        self.sockets, self._attach = server.doors.detach()
        server.legs.have_moved = True
        self._moved, self._tell = take_out(server.engine, server.doors.strep, server.doors.rtp)
        self.calls = len(self._moved.calls)
        self.descriptor = write(self._moved)

    def tell(self) -> None:
        """Let sinks finish with them, which may take its time; `back` does."""
        tell, self._tell = self._tell, None
        if tell is not None:
            tell()

    def back(self) -> None:
        """Go on with them here."""
        server, moved, attach = self._server, self._moved, self._attach
        self._moved = self._attach = None
        try:
            self.tell()
            if moved is not None:
                put_in(_again(moved), server.engine, server.doors.strep, server.doors.rtp)
        finally:
            if attach is not None:  # new calls, at least
                server.legs.have_moved = False
                attach()
                _LOG.warning("the calls are taken back")

    def __enter__(self) -> Self:
        """Let them be taken back if it fails."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Be done with the descriptors."""
        try:
            if kind is not None:
                self.back()
        finally:
            if self.descriptor != -1:
                os.close(self.descriptor)
            for sock in (self.sockets.ws, self.sockets.http):  # copies, unlike the others
                if sock is not None:
                    sock.close()


def leave(server: Server) -> None:
    """Leave all UDP calls with systemd, if it takes them: else they end here as they would have."""
    try:
        with Departure(server) as departure:
            departure.out()
            if store(departure.descriptor, CALLS):
                departure.tell()
                _LOG.info("left with systemd", extra={"calls": departure.calls})
            else:
                departure.back()
    except Exception:
        _LOG.exception("calls cannot be left with systemd; they end here")


def _again(moved: Moved) -> Moved:
    """Return what can be put in once more: nothing of it is shared with what was taken out, if it can be written."""
    try:
        return decode(encode(moved))
    except Exception:
        _LOG.exception("calls cannot be written down")
        return moved
