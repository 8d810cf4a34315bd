"""`MachineDesk`: the judges of all tracks that are asked about, beside the ear that hears them. Sans-I/O.

A judge is a few lines of Python per word; between words, and that is nearly always, all of them together are one
comparison of columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from media.hearing.columns import Columns
from media.hearing.ear import Ear, Heard
from media.hearing.machine import Finding, MachineJudge, MachineRules
from media.hearing.tones import Tone
from media.hearing.words import Word
from strep.clock import NS_PER_SECOND

_NEVER = np.iinfo(np.int64).max


class MachineDesk:
    """Who answers, of the tracks of one ear that hears words and tones."""

    def __init__(self, ear: Ear) -> None:
        self._ear = ear
        self._judges: dict[int, MachineJudge] = {}
        self._waiting: dict[int, tuple[MachineRules, int | None]] = {}  # for the first block, since when, in ns
        self._now_ns = 0  # when it was last told something
        self._due = Columns(np.array([(_NEVER,)], np.dtype([("samples", "i8")])))

    def __len__(self) -> int:
        """Return how many tracks are asked about."""
        return len(self._judges) + len(self._waiting)

    def begin(self, key: int, rules: MachineRules) -> None:
        """Ask about a track, from here on; what was asked before is forgotten."""
        self.forget(key)
        self._ear.attend(key, rules.minimum_word_length_ms, rules.between_words_silence_ms, rules.silence_threshold)
        [position] = self._ear.positions(np.array([key]), self._now_ns).tolist()
        if position < 0:
            self._waiting[key] = rules, None
        else:
            self._seat(key, rules, position)

    def forget(self, key: int) -> None:
        """Ask about a track no more."""
        self._waiting.pop(key, None)
        if self._judges.pop(key, None) is not None:
            self._due.table["samples"][key] = _NEVER
        self._ear.neglect(key)

    def receive(self, found: Iterable[Heard], now_ns: int) -> Iterator[tuple[int, Finding]]:
        """Take what the ear has found in a tick; yield by track what that decides."""
        self._now_ns = now_ns
        yield from self._await(now_ns)
        for heard in found:
            judge = self._judges.get(heard.key)
            if judge is not None and isinstance(heard, Word | Tone):
                yield from ((heard.key, finding) for finding in judge.receive(heard))
                self._look(heard.key, judge)
        yield from self._poll(now_ns)

    def finish(self, key: int, now_ns: int) -> Iterator[tuple[int, Finding]]:
        """Yield what can be said of a track that is over, and forget it."""
        [position] = self._ear.positions(np.array([key]), now_ns).tolist()
        judge = self._judges.get(key)
        if key in self._waiting:
            judge = MachineJudge(self._waiting[key][0], 0, self._ear.sample_rate_hz)
        if judge is not None:
            yield from ((key, finding) for finding in judge.finish(max(position, 0)))
        self.forget(key)

    def _seat(self, key: int, rules: MachineRules, start_samples: int) -> None:
        judge = self._judges[key] = MachineJudge(rules, start_samples, self._ear.sample_rate_hz)
        self._look(key, judge)

    def _await(self, now_ns: int) -> Iterator[tuple[int, Finding]]:
        """Let judges begin whose tracks have; where nothing comes at all, that is silence as well."""
        for key, (rules, since_ns) in list(self._waiting.items()):
            [position] = self._ear.positions(np.array([key]), now_ns).tolist()
            if position >= 0:
                del self._waiting[key]
                self._seat(key, rules, self._ear.start(key))
                continue
            judge = MachineJudge(rules, 0, self._ear.sample_rate_hz)
            since_ns = now_ns if since_ns is None else since_ns
            self._waiting[key] = rules, since_ns
            silence = (now_ns - since_ns) * self._ear.sample_rate_hz // NS_PER_SECOND
            if silence >= judge.deadline():
                yield from ((key, finding) for finding in judge.poll(silence))
                self.forget(key)

    def _look(self, key: int, judge: MachineJudge) -> None:
        """Take note of when to ask `judge` again."""
        self._due.reach(key)
        self._due.table["samples"][key] = _NEVER if judge.is_over else judge.deadline()
        if judge.is_over:
            del self._judges[key]
            self._ear.neglect(key)

    def _poll(self, now_ns: int) -> Iterator[tuple[int, Finding]]:
        if not self._judges:
            return
        key = np.fromiter(self._judges, np.int64, len(self._judges))
        position = self._ear.positions(key, now_ns)
        due = np.flatnonzero(self._due.table["samples"][key] <= position)
        for k, at in zip(key[due].tolist(), position[due].tolist(), strict=True):
            judge = self._judges[k]
            yield from ((k, finding) for finding in judge.poll(at, self._ear.tone_now(k)))
            self._look(k, judge)
