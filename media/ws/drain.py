"""Sockets read on a clock: what several frames have brought costs one system call, and the event loop none.

A transport that wakes up for every frame costs more than all that is done with the frame. So where nobody is in a
hurry, `Drain` reads sockets whose frames are foreseen every `READ_EVERY_MS`, one behind the other into a buffer, and
hands that to the express lane. Their transports are paused meanwhile: they write, and close.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
from array import array
from collections.abc import Callable
from socket import MSG_DONTWAIT
from typing import Protocol

import numpy as np

from media.ws.express.lane import ExpressLane
from media.ws.express.layout import MAX_TEXT_BYTES
from strep.clock import NS_PER_MS, NS_PER_SECOND

READ_EVERY_MS = 40
"""So often: two frames of each track, as most carriers send them; so much later than it came a frame may be taken."""
_TURN = 256
"""Sockets that are read in one go; more take turns, so that nobody waits for all."""
_READ_BYTES = 16_384
"""Of a socket at a time."""
_MOST_FULL_TURNS = 8
"""Turns in a row that bring all of that, after which a socket is read by its transport, and the normal way: it has a
backlog, of which more comes by than is read here."""
_TAKE_BYTES = 1 << 19
"""So much at a time stays in a processor's cache while it is taken apart."""
_QUIET_TURNS = 50
"""Turns in a row that found nothing at all, after which all sockets wake their transports again."""


class Rider(Protocol):
    """A connection whose socket is read here; it does not raise."""

    def wake_up(self) -> None:
        """Read by yourself again: the peer has closed or sends more than is read here, or nobody sends."""


class Drain:
    """Reads sockets on a clock, as long as there are any."""

    def __init__(self, lane: ExpressLane, now_ns: Callable[[], int], wake: Callable[[], None]) -> None:
        """Start without one; `wake` is called when frames have come."""
        self._lane, self._now_ns, self._wake = lane, now_ns, wake
        self._riders: dict[int, tuple[int, Rider]] = {}
        self._rests: dict[int, bytes] = {}
        self._full_turns: dict[int, int] = {}
        self._buffer = np.zeros(_TAKE_BYTES + 2 * _READ_BYTES + MAX_TEXT_BYTES, np.uint8)
        self._timer: asyncio.TimerHandle | None = None
        self._quiet_turns = 0
        self._turn: list[int] = []  # rows that have not been read in this round
        self._pause_ns = self._due_ns = 0
        # The call never waits, so it keeps the interpreter's lock (PyDLL): see `strep.mmsg`.
        self._recv = ctypes.PyDLL(None, use_errno=True).recv
        self._recv.argtypes = ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
        self._recv.restype = ctypes.c_ssize_t

    def add(self, row: int, descriptor: int, rider: Rider) -> None:
        """Read `descriptor` for the connection whose first row is `row`, whose transport reads no more."""
        self._riders[row] = descriptor, rider
        if self._timer is None:
            self._quiet_turns = 0
            self._schedule(self._now_ns())

    def remove(self, row: int) -> bytes:
        """Read that one no more; return the beginning of a frame, which must be taken before what comes next."""
        self._riders.pop(row, None)
        self._full_turns.pop(row, None)
        return self._rests.pop(row, b"")

    def sweep(self) -> None:
        """Read all sockets once."""
        self._read(list(self._riders))

    def _read(self, those: list[int]) -> bool:
        """Read the sockets of the rows `those`, and return whether anything came."""
        have_come, first = False, 0
        while first < len(those):
            first, came = self._read_some(those, first)
            have_come |= came
        if have_come:
            self._wake()
        return have_come

    def _read_some(self, those: list[int], first: int) -> tuple[int, bool]:
        """Read rows from number `first` on until there is enough; return which is the next, and if anything came."""
        recv, buffer, riders = self._recv, self._buffer, self._riders
        rests, full_turns = self._rests, self._full_turns
        address, at = buffer.ctypes.data, 0
        rows, edges, leaving = array("q"), array("q", (0,)), list[Rider]()
        while first < len(those) and at < _TAKE_BYTES:
            row = those[first]
            first += 1
            if row not in riders:  # what came before has ended it
                continue
            descriptor, rider = riders[row]
            size = recv(descriptor, address + at, _READ_BYTES, MSG_DONTWAIT)
            if size > 0:
                if size == _READ_BYTES:
                    full_turns[row] = full_turns.get(row, 0) + 1
                    if full_turns[row] >= _MOST_FULL_TURNS:
                        leaving.append(rider)
                elif full_turns:
                    full_turns.pop(row, None)
                if row in rests:
                    size = self._put_in_front(rests.pop(row), at, size)
                at += size
                rows.append(row)
                edges.append(at)
            elif size == 0 or ctypes.get_errno() not in (errno.EAGAIN, errno.EINTR):
                leaving.append(rider)
        if rows:
            bounds = np.frombuffer(edges, np.int64)
            self._lane.take(
                buffer,
                np.frombuffer(rows, np.int64),
                bounds[:-1],
                bounds[1:],
                self._now_ns(),
                READ_EVERY_MS * NS_PER_MS,
                rests,
            )
        for rider in leaving:
            rider.wake_up()
        return first, bool(rows)

    def _put_in_front(self, rest: bytes, at: int, size: int) -> int:
        """Make room for the `rest` of the last time in front of the `size` bytes at `at`; return the new size."""
        buffer, count = self._buffer, len(rest)
        buffer[at + count : at + count + size] = buffer[at : at + size].copy()
        buffer[at : at + count] = np.frombuffer(rest, np.uint8)
        return count + size

    def _schedule(self, due_ns: int) -> None:
        delay_ns = max(due_ns - self._now_ns(), 0)
        self._due_ns = due_ns
        self._timer = asyncio.get_running_loop().call_later(delay_ns / NS_PER_SECOND, self.beat)

    def beat(self) -> None:
        """Let some sockets have their turn, and say when the next ones have."""
        self._timer = None
        try:
            self._take_turn()
        finally:  # no mistake of ours may leave sockets unread
            if self._riders:
                self._schedule(max(self._due_ns + self._pause_ns, self._now_ns()))

    def _take_turn(self) -> None:
        if not self._turn:
            self._turn = list(self._riders)
            self._pause_ns = READ_EVERY_MS * NS_PER_MS // max(-(-len(self._turn) // _TURN), 1)
        those, self._turn = self._turn[:_TURN], self._turn[_TURN:]
        self._quiet_turns = 0 if self._read(those) else self._quiet_turns + 1
        if self._quiet_turns >= _QUIET_TURNS:
            for _, rider in list(self._riders.values()):
                rider.wake_up()
