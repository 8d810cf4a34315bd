"""`Accounts`: what a sidecar will say of calls that go on, brought up to date once a second, for whoever finds it.

Beside the recording of a call that goes on there is ``.CALL.account``: lines of JSON, appended when something has
happened (a gap, a late packet, an event, a pause), and so hardly ever in a call without trouble. What lies between
two spans of a ledger was received, as far as the track has come: that is in one file of the process, ``.X.heads``,
which is written over once a second for all calls together. Both are gone when the call has ended: its sidecar says
it all.

A process that is killed takes with it what was not written yet: at most a second, which is `unaccounted`. An account
that cannot be written is removed, and then all is: an account that is there is right.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from media.account import EventCame, News
from media.blocks import PcmBatch
from media.events.kinds import WITHHELD
from media.sinks import sidecar
from media.sinks.naming import create_locked, open_locked
from media.sinks.recorded_call import RecordedCall
from media.sinks.sidecar import UNSERIALIZABLE, read_unfinished
from media.sinks.told import (
    BOOT_BYTES,
    HEADS,
    ROW,
    SUFFIX,
    KnownUntil,
    Line,
    Paused,
    ProcessBegan,
    account_of,
    boot_bytes,
)
from media.throttle import ThrottledLog
from strep.clock import NS_PER_SECOND, Clock

_LOG = logging.getLogger(__name__)
_ENCODER = msgspec.json.Encoder(enc_hook=sidecar.plain)


class Accounts:
    """Those of one `RecordingSink`, in its thread. Nothing raises: without an account a recording is as good."""

    def __init__(self, directory: Path, clock: Clock, *, is_sealed: bool = False) -> None:
        """Prepare; nothing is made before the first call.

        Args:
            directory: of the recordings.
            clock: for log lines.
            is_sealed: nobody is to read which keys were pressed.
        """
        self._directory, self._is_sealed = directory, is_sealed
        self._rows = np.zeros(64, ROW)
        self._kept: dict[int, _Kept] = {}
        self._heads: tuple[int, Path] | None = None
        self._next_ns = 0
        self._log = ThrottledLog(_LOG, clock)

    def begin(self, recording: RecordedCall) -> None:
        """Begin the account of a recording, or go on with that of a dead process."""
        call = recording.call
        if call.index >= len(self._rows):
            self._rows = np.append(self._rows, np.zeros(2 * call.index + 64 - len(self._rows), ROW))
        self._rows[call.index] = (0, (0, 0))
        if recording.wav is None or call.account.is_kept:
            return
        path = account_of(recording.sidecar_path)
        told = recording.continued.told if recording.continued else None
        try:
            _, heads = self._heads = self._heads or self._made()
            token = 1 + secrets.randbelow(1 << 62)
            lines: list[Line] = [KnownUntil(told.known)] if told else []
            lines.append(ProcessBegan(recording.offset_samples, heads.name, call.index, token))
            if told is not None:
                os.truncate(path, told.size_bytes)  # what a dead process wrote in part
            else:
                path.unlink(missing_ok=True)
            _append(path, lines, os.O_CREAT)
        except OSError as error:
            self._give_up(path, error)
            self._rest()
            return
        self._rows[call.index]["token"] = token
        self._kept[call.index] = _Kept(recording, path)
        call.account.keep()

    def receive(self, batch: PcmBatch) -> None:
        """Take note how far tracks have come; once a second write it down, and what has happened."""
        if len(batch) and not batch.late:
            self._take(batch)
        if batch.now_ns >= self._next_ns and self._heads is not None:
            self._next_ns = batch.now_ns + NS_PER_SECOND
            self._write(self._heads[0])

    def _take(self, batch: PcmBatch) -> None:
        heads, ends = self._rows["heads"], batch.positions + batch.last
        is_known = batch.call < len(heads)
        call, channel = batch.call[is_known], batch.channel[is_known]
        heads[call, channel] = np.maximum(heads[call, channel], ends[is_known])

    def _write(self, heads: int) -> None:
        for index, kept in list(self._kept.items()):
            if kept.recording.wav is None:  # it failed, and its sidecar says so
                self._forget(index)
            elif kept.recording.call.account.news or kept.recording.call.pauses:
                self._write_one(index, kept)
        try:
            os.pwrite(heads, self._rows.tobytes(), BOOT_BYTES)
        except OSError as error:
            for index, kept in list(self._kept.items()):
                self._give_up(kept.path, error)
                self._forget(index)
        self._rest()

    def end(self, recording: RecordedCall) -> None:
        """Remove the account of a recording: its sidecar says it all."""
        if (kept := self._kept.get(recording.call.index)) is not None and kept.recording is recording:
            self._forget(recording.call.index)
            self._rest()

    def leave(self, recording: RecordedCall) -> None:
        """Leave the account to the process that goes on with the recording, which has its lock in a moment."""
        index = recording.call.index
        if (kept := self._kept.get(index)) is not None and kept.recording is recording:
            if recording.wav is None:  # it failed, and nobody goes on with it
                self._forget(index)
            else:
                self._write_one(index, kept, KnownUntil(_pair(self._rows[index]["heads"])))
                self._kept.pop(index, None)
            self._rest()

    def _rest(self) -> None:
        """Remove the file of heads while there is no call."""
        if not self._kept and self._heads is not None:
            fd, path = self._heads
            self._heads = None
            with suppress(OSError):
                path.unlink(missing_ok=True)
            os.close(fd)

    def _made(self) -> tuple[int, Path]:
        path = self._directory / f".{secrets.token_hex(8)}{HEADS}"
        fd = create_locked(path)
        try:
            os.pwrite(fd, boot_bytes(), 0)
        except BaseException:  # it is tried again with the next call
            path.unlink(missing_ok=True)
            os.close(fd)
            raise
        return fd, path

    def _write_one(self, index: int, kept: _Kept, *more: Line) -> None:
        account, pauses = kept.recording.call.account, kept.recording.call.pauses
        lines: list[Line] = []
        while account.news:
            lines.append(self._without_keys(account.news.popleft()))
        said = [(pause.start_samples, pause.starts, pause.end_samples) for pause in pauses]
        if said != kept.pauses:
            kept.pauses = said
            lines.append(Paused(said))
        lines += more
        try:
            if account.is_broken:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(kept.path))
            if lines:
                _append(kept.path, lines)
        except (OSError, *UNSERIALIZABLE) as error:
            self._give_up(kept.path, error)
            self._forget(index)

    def _without_keys(self, news: News) -> News:
        if self._is_sealed and isinstance(news, EventCame) and "digit" in news.event:
            return EventCame(news.event | {"digit": WITHHELD})
        return news

    def _forget(self, index: int) -> None:
        kept = self._kept.pop(index)
        self._rows[index] = (0, (0, 0))
        kept.recording.call.account.stop()
        with suppress(OSError):
            kept.path.unlink(missing_ok=True)

    def _give_up(self, path: Path, error: Exception) -> None:
        self._log.warning(f"what happens in {path.stem[1:]} is not known if this process dies now: {error}")
        with suppress(OSError):
            path.unlink(missing_ok=True)


class _Kept:
    """An account that is being kept."""

    __slots__ = ("path", "pauses", "recording")

    def __init__(self, recording: RecordedCall, path: Path) -> None:
        self.recording, self.path = recording, path
        self.pauses: list[Any] = []


def _append(path: Path, lines: list[Line], flags: int = 0) -> None:
    """Append lines to the file, which has to be there: somebody who removed the recording removed it as well."""
    content = b"".join(_ENCODER.encode(line) + b"\n" for line in lines)
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)
    try:
        if os.write(fd, content) < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(fd)


def _pair(heads: Any) -> tuple[int, int]:
    inbound, outbound = heads.tolist()
    return inbound, outbound


def remove_left_over(directory: Path, names: Iterable[str]) -> None:
    """Remove accounts of recordings that are over, and heads of processes that died; `names` are of files there."""
    for name in names:
        path = directory / name
        with suppress(OSError):
            if name.endswith(SUFFIX):
                if read_unfinished(path.with_name(f"{name[1:].removesuffix(SUFFIX)}.json")) is None:
                    path.unlink(missing_ok=True)
            elif (fd := open_locked(path)) is not None:
                path.unlink(missing_ok=True)
                os.close(fd)
