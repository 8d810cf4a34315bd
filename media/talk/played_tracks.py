"""`PlayedTracks`: what is played into all calls, handed to the recorders some times a second, of all calls at once.

A batch costs a recorder's thread that wakes, and the engine's that has to wait for it; a row hardly anything.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from media.blocks import PcmBatch
from media.outlets import wants_played
from media.sinks.contract import CallInfo
from media.talk.contract import Pcm
from media.talk.played_track import PlayedTrack
from media.tapes import TapeFormat, law_of
from strep.clock import NS_PER_MS
from strep.g711 import LINEAR, Codec, encode
from strep.header import Direction

if TYPE_CHECKING:
    from media.engine import Engine
    from media.talk.playout import Playout
    from media.ws.host import StreamStart

EVERY_NS = 250 * NS_PER_MS
MOST_ROWS = 500
"""That wait, whatever the time: of half a second each."""


class _Row(NamedTuple):
    call: int
    position: int
    pcm: Pcm


class PlayedTracks:
    """What waits to be handed out."""

    def __init__(self, engine: Engine) -> None:
        """Hand it to those outlets of `engine` that want it."""
        self._engine = engine
        self._rows: dict[tuple[TapeFormat, Codec | None], list[_Row]] = defaultdict(list)
        self._due_ns = 0

    def keep(self, info: CallInfo, playout: Playout, start: StreamStart) -> None:
        """Keep what is played into a call from now on."""
        call = self._engine.calls.get(info.call_id)
        if call is not None and call.info is info and call.played is None:
            call.played = PlayedTrack(call, self._engine, self, playout, law_of(start.encoding))

    def add(self, info: CallInfo, law: Codec | None, position: int, pcm: Pcm) -> None:
        """Take half a second of a call, or less, as code bytes of `law` or linear."""
        rows = self._rows[TapeFormat(info.sample_rate_hz, info.is_linear), law]
        rows.append(_Row(info.index, position, pcm))
        now_ns = self._engine.now_ns()
        if len(rows) >= MOST_ROWS or now_ns >= self._due_ns + EVERY_NS:  # no caller is heard: nobody looks
            self._due_ns = now_ns + EVERY_NS
            self.hand_out()

    def look(self, now_ns: int) -> None:
        """Hand out what waits if it is time; called whenever audio of calls is handed out."""
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + EVERY_NS
            self.hand_out()

    def hand_out(self) -> None:
        """Hand out what waits."""
        waiting, self._rows = self._rows, defaultdict(list)
        for (tape, law), rows in waiting.items():
            batch = self._batch(tape, law, rows)
            pauses = self._engine.pauses
            self._engine.tell_some(pauses.apply(batch) if pauses else batch, wants_played)

    def _batch(self, tape: TapeFormat, law: Codec | None, rows: list[_Row]) -> PcmBatch:
        width = max(len(row.pcm) for row in rows)
        blocks = np.zeros((len(rows), width), np.int16)
        for block, row in zip(blocks, rows, strict=True):
            block[: len(row.pcm)] = row.pcm
        return PcmBatch(
            call=np.array([row.call for row in rows], np.int32),
            channel=np.full(len(rows), Direction.OUTBOUND, np.uint8),
            positions=np.array([row.position for row in rows], np.int64),
            first=np.zeros(len(rows), np.int32),
            last=np.array([len(row.pcm) for row in rows], np.int32),
            codec=np.full(len(rows), LINEAR if law is None else law, np.uint8),
            encoded=blocks if law is None else encode(blocks, law),
            sample_rate_hz=tape.sample_rate_hz,
            now_ns=self._engine.now_ns(),
        )
