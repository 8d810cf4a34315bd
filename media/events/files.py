"""`EventFiles`: what happens in each call, a JSON object a line, in ``<call_id>.events.jsonl``.

Ids are unique among live calls only. So every call has a file of its own, ``<call_id>.2.events.jsonl`` and so on
where there is one already, as recordings have. The number is not always that of the recording, for a call without
events has no file; the first line says which call it is::

    {"event": "call", "call_id": "...", "started_at": "2026-01-31T12:00:00.000000Z", "sample_rate_hz": 8000}

That is when it was opened. Positions are counted from its first audio, which over a WebSocket may come seconds later:
the recording's sidecar says when. After a crash the next process' events, and positions, are in a file of their own.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from media.events.background import Background
from media.events.bus import EventBus, Told
from media.events.calls import CallOver
from media.events.transcripts import Transcription
from media.sealing.keys import Recipients
from media.sealing.records import SUFFIX as SEALED
from media.sealing.text import SealedText
from media.sinks.contract import CallInfo
from media.sinks.naming import make_directory
from media.throttle import ThrottledLog
from strep.clock import Clock, iso8601

SUFFIX = ".events.jsonl"
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC

MAX_ENDED = 10_000
"""Calls that have ended, of which late events (a recording is saved) still find their file."""
CLOSE_TIMEOUT_S = 10.0
_LOG = logging.getLogger("strep.events")


class EventFiles:
    """Writes the events of all calls, in a thread; a call that has none but its own start and end has a file too.

    Attributes:
        written, failed: events.
    """

    name = "event-files"

    def __init__(self, directory: Path, bus: EventBus, clock: Clock, recipients: Recipients = ()) -> None:
        """Write into `directory`, which `start` makes if it is not there; sealed where there are recipients."""
        self.written = self.failed = 0
        self._directory, self._recipients = directory, recipients
        self._trouble = ThrottledLog(_LOG, clock)
        # By the id() of a `CallInfo`, which is kept, so that no other call can have it.
        self._files: OrderedDict[int, tuple[CallInfo, EventFile]] = OrderedDict()
        self._ended: OrderedDict[int, None] = OrderedDict()
        self.background = Background(self.name, self.take, clock)
        bus.subscribe(self.put)

    def put(self, told: Told) -> None:
        """Queue an event, unless it is a transcription that will be replaced."""
        if not (isinstance(told.event, Transcription) and not told.event.is_final):
            self.background.put(told)

    async def start(self) -> None:
        """Make the directory if there is none, and start the thread.

        Raises:
            OSError: it cannot be made.
        """
        make_directory(self._directory)
        self.background.start()

    async def close(self) -> None:
        """Write what waits."""
        if not await asyncio.to_thread(self.background.stop, CLOSE_TIMEOUT_S):
            waiting = self.background.snapshot()["waiting"]
            _LOG.error("%d events are not written, and some that were being written: the disk took too long", waiting)

    def snapshot(self) -> dict[str, Any]:
        """Return counters."""
        return {"written": self.written, "unwritten": self.failed, **self.background.snapshot()}

    def take(self, batch: list[Told]) -> None:
        """Write a batch, a call's events at once."""
        by_call: dict[int, list[Told]] = {}
        for told in batch:
            by_call.setdefault(id(told.call), []).append(told)
        for key, events in by_call.items():
            call = events[0].call
            file = self._file_of(key, events[0])
            try:
                file.append([told.to_json() for told in events])
                self.written += len(events)
            except (OSError, UnicodeEncodeError) as error:
                self.failed += len(events)
                self._trouble.warning(f"events of call {call.call_id} are not written: {error}")
            if key in self._files and any(isinstance(told.event, CallOver) for told in events):
                self._ended[key] = None
        while len(self._ended) > MAX_ENDED:
            del self._files[self._ended.popitem(last=False)[0]]

    def _file_of(self, key: int, first: Told) -> EventFile:
        """Return the file of a call: kept of one that is, or was not long ago, live here, else found again."""
        if key not in self._files:
            call = first.call
            is_new = call.index >= 0 and first.sequence == 1
            make = EventFile if is_new else EventFile.reopened
            file = make(self._directory, call, recipients=self._recipients)
            if call.index < 0:  # another process': nothing is kept of it
                return file
            self._files[key] = call, file
            if not is_new:  # taken over from another process; or forgotten already, and its end will not come again
                self._ended[key] = None
        elif key in self._ended:
            self._ended.move_to_end(key)
        return self._files[key][1]


class EventFile:
    """The events of one call: mode 0600, whole lines only, and no file before the first."""

    def __init__(self, directory: Path, call: CallInfo, suffix: str = SUFFIX, recipients: Recipients = ()) -> None:
        self._stem, self._suffix = os.path.join(directory, call.call_id), suffix
        self._text = None
        if recipients:
            self._text, self._suffix = SealedText(recipients), suffix + SEALED
        self._path = ""
        started_at = iso8601(call.started_wall_ns)
        head: dict[str, Any] = {"event": "call", "call_id": call.call_id, "started_at": started_at}
        self._head = head | {"sample_rate_hz": call.sample_rate_hz}

    @classmethod
    def reopened(
        cls, directory: Path, call: CallInfo, suffix: str = SUFFIX, recipients: Recipients = ()
    ) -> EventFile:
        """Return the file that there is of the call, by its first line, or a new one.

        Of sealed ones, whose lines nobody can read here, the last of that name; the call is said again in it.
        """
        file, number = cls(directory, call, suffix, recipients), 1
        if recipients:
            while os.path.lexists(path := _numbered(file._stem, file._suffix, number)):
                file._path, number = path, number + 1
            return file
        head = msgspec.json.encode(file._head) + b"\n"
        while os.path.lexists(path := _numbered(file._stem, suffix, number)):
            with suppress(OSError), open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as there:
                if there.read(len(head)) == head:
                    file._path = path
                    break
            number += 1
        return file

    def append(self, documents: Iterable[dict[str, Any]]) -> None:
        """Write a line each.

        Raises:
            OSError: none of them is in the file.
        """
        if self._path:
            fd = os.open(self._path, _FLAGS)
        else:
            self._path, fd = create_unused(self._stem, self._suffix, _FLAGS)
        try:
            if self._text is not None:  # what is sealed is sealed for its place in the file
                fcntl.flock(fd, fcntl.LOCK_EX)
            size = os.fstat(fd).st_size
            begins = not size or not (self._text is None or self._text.goes_on(size))
            told = [self._head, *documents] if begins else documents
            content = b"".join(msgspec.json.encode(document) + b"\n" for document in told)
            if self._text is not None:
                content, size = self._text.seal(fd, content, size)
            append_or_nothing(fd, content, size)
        finally:
            os.close(fd)


def create_unused(stem: str, suffix: str, flags: int) -> tuple[str, int]:
    """Create ``<stem><suffix>``, ``<stem>.2<suffix>`` and so on, the first there is not; return path and descriptor.

    Raises:
        OSError: it cannot be created.
    """
    number = 1
    while True:
        path = _numbered(stem, suffix, number)
        try:
            return path, os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            number += 1


def _numbered(stem: str, suffix: str, number: int) -> str:
    return f"{stem}{suffix}" if number == 1 else f"{stem}.{number}{suffix}"


def append_or_nothing(fd: int, content: bytes, size: int) -> None:
    """Write all of it behind the `size` bytes that are there, or nothing: a full disk takes a part.

    Raises:
        OSError: it is not written.
    """
    try:
        while content:
            content = content[os.write(fd, content) :]
    except OSError:
        os.ftruncate(fd, size)
        raise
