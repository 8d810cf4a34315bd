"""`Post`: an ear and the judges beside it, of calls of one rate. `Posts`: one for each rate. Sans-I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from media.blocks import PcmBatch
from media.hearing.ear import KINDS, TONES, WORDS, Ear, Heard
from media.hearing.machine import Finding, MachineRules
from media.hearing.machine_desk import MachineDesk
from media.hearing.rows import CHANNELS, can_be_heard
from media.hearing.tones import Tone
from media.hearing.words import Word

MACHINE = "machine"
ALL_KINDS = (*KINDS, MACHINE)
"""What can be asked for."""

Report = tuple[int, Heard | Finding]
"""A track's key, and what was heard in it or found out about it."""


class Post:
    """Hears `kinds`, of `ALL_KINDS`, in the calls of one rate."""

    def __init__(self, kinds: Collection[str], sample_rate_hz: int) -> None:
        self._kinds = frozenset(kinds)
        self.ear = Ear(self._kinds | {WORDS, TONES} if MACHINE in kinds else self._kinds, sample_rate_hz)
        self._desk = MachineDesk(self.ear) if MACHINE in kinds else None

    def judge(self, key: int, rules: MachineRules) -> None:
        """Find out who answers on a track, from here on."""
        if self._desk is not None:
            self._desk.begin(key, rules)

    def receive(self, batch: PcmBatch) -> Iterator[Report]:
        """Hear the blocks of a tick, of whatever rate."""
        is_ours = batch.sample_rate_hz == self.ear.sample_rate_hz
        found = self.ear.receive(batch) if is_ours else self.ear.poll(batch.now_ns)
        yield from self._told(found)
        if self._desk is not None:
            yield from self._desk.receive(found, batch.now_ns)

    def forget(self, call: int, now_ns: int) -> Iterator[Report]:
        """Return what ends with a call that is over, and forget it."""
        if self._desk is not None:
            for key in range(call * CHANNELS, (call + 1) * CHANNELS):
                yield from self._desk.finish(key, now_ns)
        yield from self._told(self.ear.forget(call))

    def _told(self, found: list[Heard]) -> Iterator[Report]:
        for heard in found:
            is_a_means = isinstance(heard, Word) or (isinstance(heard, Tone) and TONES not in self._kinds)
            if not is_a_means:
                yield heard.key, heard


class Posts:
    """Hears `kinds` in all calls, or in those that are `add`ed."""

    def __init__(self, kinds: Collection[str], *, hears_all: bool) -> None:
        self._kinds, self._hears_all = frozenset(kinds), hears_all
        self._rates: dict[int, int] = {}  # by call
        self._posts: dict[int, Post] = {}  # by rate

    def __contains__(self, call: int) -> bool:
        """Return whether a call is listened to."""
        return call in self._rates

    def add(self, call: int, sample_rate_hz: int) -> None:
        """Listen to a call; not to one of a rate that nobody can hear."""
        if self._kinds and can_be_heard(sample_rate_hz):
            self._rates[call] = sample_rate_hz
            if sample_rate_hz not in self._posts:
                self._posts[sample_rate_hz] = Post(self._kinds, sample_rate_hz)

    def judge(self, key: int, rules: MachineRules) -> None:
        """Find out who answers on a track of a call that was added."""
        self._posts[self._rates[key // CHANNELS]].judge(key, rules)

    def receive(self, batch: PcmBatch) -> Iterator[Report]:
        """Hear the blocks of a tick."""
        if not self._posts:
            return
        if not self._hears_all and len(batch):
            wanted = np.isin(batch.call, np.fromiter(self._rates, np.int32, len(self._rates)))
            batch = batch.take(wanted) if wanted.any() else PcmBatch.tick(batch.now_ns)
        for post in self._posts.values():
            yield from post.receive(batch)

    def remove(self, call: int, now_ns: int) -> Iterator[Report]:
        """Return what ends with a call, and listen to it no more."""
        rate_hz = self._rates.pop(call, 0)
        if rate_hz:
            yield from self._posts[rate_hz].forget(call, now_ns)
            if rate_hz not in self._rates.values():
                del self._posts[rate_hz]
