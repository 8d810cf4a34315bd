"""What an application did, what the carrier made of it, and what is always to be true of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from media.talk.contract import Pcm
from media.talk.handle import Playback, PlayState
from media.talk.mp3_mode import Mp3Playout
from media.talk.played import PlayedTape
from media.talk.playout import Playout
from media.talk.rtp_mode import RtpPlayout
from strep.clock import NS_PER_SECOND
from tests.talk import mp3_world, test_rtp_mode
from tests.talk.model_carrier import (
    PLAYS,
    RATE_HZ,
    ModelCarrier,
    World,
    indices_of,
    samples_of,
)

MODES: dict[str, Callable[[], World]] = {"rtp": test_rtp_mode.world, "mp3": mp3_world.world}
_seconds = st.sampled_from([0.005, 0.1, 0.3, 0.75, 1.5, 4.0])
OPERATIONS = st.one_of(
    st.tuples(st.just("play"), st.integers(1, 30_000)),
    st.tuples(st.just("run"), _seconds),
    st.tuples(st.sampled_from(["pause", "resume", "stop"]), st.integers(0, PLAYS - 1)),
    st.tuples(st.sampled_from(["clear", "mark", "reconnect"]), st.just(0)),
)
LOSS = st.tuples(st.just("lose"), st.just(0))
REFUSALS = st.lists(st.sampled_from([None, None, None, 100005]), max_size=12)
FAULTS = st.lists(st.sampled_from([None, None, None, 100002, 100004, 100005]), max_size=12)


@dataclass
class Keeping:
    """Keeps what the tape says was heard."""

    history: History

    def heard(self, at_ns: int, pcm: Pcm, earliest_ns: int) -> None:
        self.history.kept.append(pcm)
        self.history.kept_ns.append((at_ns, at_ns + len(pcm) * NS_PER_SECOND // RATE_HZ))

    def fell_silent(self) -> None:
        pass


class History:
    """Carries out operations on a world and keeps what they say."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.handles: list[Playback] = []
        self.lengths: list[int] = []
        self.marks: list[bool | None] = []
        self.reported: dict[Playback, int] = {}
        self.cut: list[Playback] = []
        self.heard: list[Any] = []
        self.kept: list[Pcm] = []
        self.kept_ns: list[tuple[int, int]] = []
        world.playout.player.tape = PlayedTape(RATE_HZ, Keeping(self))

    def do(self, name: str, value: Any) -> None:
        world, now_ns = self.world, self.world.clock.now_ns()
        if name == "play":
            if len(self.handles) < PLAYS:
                self.lengths.append(value)
                self.handles.append(world.play(len(self.handles), value))
        elif name == "run":
            world.run(value)
        elif name == "clear":
            for report in world.playout.clear(now_ns):
                self.reported[report.play] = report.heard_samples
        elif name == "mark":
            self._mark()
        elif name == "reconnect":
            self.reconnect()
        elif name == "lose":  # marks come back no more, or again
            world.carrier.returns_marks = not world.carrier.returns_marks
        elif value < len(self.handles):
            getattr(self.handles[value], name)()
        playout = world.playout
        assert playout.player.position == playout._clock.sent + unsent_samples(playout), (
            "player and clock have parted"
        )

    def _mark(self) -> None:
        number = len(self.marks)
        self.marks.append(None)

        def came(was_played: bool) -> None:
            assert self.marks[number] is None, "a mark came twice"
            self.marks[number] = was_played

        self.world.playout.mark("same name" if number % 2 else f"mark {number}", came)

    def reconnect(self) -> None:
        world, old = self.world, self.world.carrier
        old.play_until(world.clock.now_ns())
        self.heard.append(old.heard)
        new = ModelCarrier(world.clock, refuse=old.refuse, delay_ns=old.delay_ns, min_interval_ns=old.min_interval_ns)
        world.playout.detach(world.clock.now_ns())
        world.carrier = new
        world.playout.attach(new, world.clock.now_ns())

    def finish(self) -> np.ndarray[Any, np.dtype[np.int16]]:
        for handle in self.handles:
            handle.resume()
        self.world.run_out()
        self.world.playout.settle(self.world.clock.now_ns())
        return np.concatenate([*self.heard, self.world.carrier.heard])


def unsent_samples(playout: Playout) -> int:
    """Return what was pulled from the player and is not with the carrier."""
    if isinstance(playout, RtpPlayout):
        return playout._encoded_samples + len(playout._pending)
    assert isinstance(playout, Mp3Playout)
    piece, making = playout._piece, playout._making
    refused = piece.samples if piece is not None and piece.again_ns is not None else 0
    return len(playout._pending) + (making.samples if making is not None else 0) + refused


def check(history: History, heard: np.ndarray[Any, np.dtype[np.int16]]) -> None:
    kept = np.concatenate([np.zeros(0, np.int16), *history.kept])
    assert np.array_equal(kept[kept != 0], heard[heard != 0]), "of what was heard something else was kept"
    ends = [end for _, end in history.kept_ns]
    assert ends == sorted(ends)
    for play, (handle, length) in enumerate(zip(history.handles, history.lengths, strict=True)):
        indices = indices_of(play, heard)
        assert np.array_equal(indices, np.arange(len(indices)) % 8000), f"play {play} lost, repeated or disordered"
        assert handle.position_samples == len(indices), f"play {play} was heard {len(indices)} of {length}"
        if handle in history.reported:
            assert history.reported[handle] == len(indices)
        if handle.state is PlayState.FINISHED:
            assert len(indices) == length
        else:
            assert handle.state is PlayState.CUT_OFF
            assert len(indices) <= length
    first_sounds = [int(np.flatnonzero(heard == samples_of(play, 0, 1)[0])[0])
                    for play in range(len(history.handles)) if len(indices_of(play, heard))]  # fmt: skip
    assert first_sounds == sorted(first_sounds), "the queue was not kept"
    assert None not in history.marks, "a mark never came"
    assert history.world.playout.snapshot().marks_unknown == 0
