"""`OneWay`: calls in which one side is silent, or sends nothing, while the other one speaks; in columns.

For every track the speech of the other side is counted since this one was last heard. So a pause of both is nothing,
and a long one of one side is only when the other side goes on talking. A track that never came is not told of: most
forks are of one direction on purpose.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from media.hearing.columns import Columns
from media.hearing.rows import FRAME_MS, Bool, Int64, Rows
from media.quality.levels import BINS

SOUND_DBFS = -55
"""A frame at least as loud shows that a side is there: background is enough."""
SPEECH_DBFS = -40
SPOKEN_S = 15
"""Of the other side's speech, during which nothing was heard of this one."""
SPOKEN_FRAMES = SPOKEN_S * 1000 // FRAME_MS
_SOUND, _SPEECH = BINS - 1 + SOUND_DBFS, BINS - 1 + SPEECH_DBFS


class Silent(NamedTuple):
    """One side became silent while the other spoke, or is heard again.

    Attributes:
        key: the silent one's track.
        begins: else it is over.
        position_samples: where it was heard last, or is heard again.
        spoken_ms: the other side's speech since then.
    """

    key: int
    begins: bool
    position_samples: int
    spoken_ms: int


_STATE = np.dtype(
    [
        ("is_here", "?"),  # a block has come
        ("heard", "i8"),  # samples: end of what was heard last
        ("spoken", "i8"),  # frames of the other side's speech since then
        ("is_one_way", "?"),
        ("total", "i8"),  # frames of it where it was long enough, and is over
    ]
)


class OneWay:
    """The two tracks of each call, by `media.hearing.rows.Rows.key`."""

    def __init__(self) -> None:
        self._columns = Columns(np.zeros(1, _STATE))

    def reach(self, key: int) -> None:
        """Make room for tracks up to `key`."""
        self._columns.reach(key)

    def reset(self, key: Int64) -> None:
        """Forget tracks."""
        self._columns.reset(key)

    def receive(self, rows: Rows, bins: Int64) -> list[Silent]:
        """Return what changed; `bins` is `media.quality.levels.Levels.bins`."""
        state, key, other = self._columns.table, rows.key, rows.key ^ 1
        new = ~state["is_here"][key]
        state["is_here"][key[new]], state["heard"][key[new]] = True, rows.begin[new]
        state["spoken"][other] += (bins >= _SPEECH).sum(axis=1) * state["is_here"][other]
        sounds = np.asarray((bins >= _SOUND).any(axis=1))
        found = self._ended(key[sounds & state["is_one_way"][key]], rows, sounds)
        state["heard"][key[sounds]], state["spoken"][key[sounds]] = rows.end[sounds], 0
        has_spoken: Bool = state["spoken"][other] >= SPOKEN_FRAMES
        begins = np.unique(other[has_spoken & ~state["is_one_way"][other]])
        state["is_one_way"][begins] = True
        return found + [self._silent(k, begins=True, position=int(state["heard"][k])) for k in begins.tolist()]

    def _ended(self, key: Int64, rows: Rows, sounds: Bool) -> list[Silent]:
        state = self._columns.table
        begin = dict(zip(rows.key[sounds].tolist(), rows.begin[sounds].tolist(), strict=True)) if len(key) else {}
        found = [self._silent(k, begins=False, position=begin[k]) for k in key.tolist()]
        state["is_one_way"][key] = False
        state["total"][key] += state["spoken"][key]
        return found

    def _silent(self, key: int, *, begins: bool, position: int) -> Silent:
        return Silent(key, begins, position, int(self._columns.table["spoken"][key]) * FRAME_MS)

    def of(self, key: int) -> tuple[bool, int]:
        """Return whether a track is silent while the other side speaks, and how long it was, in ms of that speech."""
        state = self._columns.table[key]
        going_on = int(state["spoken"]) if state["is_one_way"] else 0
        return bool(state["is_one_way"]), (int(state["total"]) + going_on) * FRAME_MS
