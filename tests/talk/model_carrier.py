"""A carrier that plays what it gets on a manual clock, and sources of samples that say whose they are."""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from media.talk.contract import Pcm, PlaybackError
from media.talk.handle import Playback, PlaybackControl
from media.talk.playout import Playout
from media.talk.voice import Voice
from strep.clock import NEVER_NS, NS_PER_MS, NS_PER_SECOND, ManualClock

RATE_HZ = 8000
STEP_NS = 5 * NS_PER_MS
PLAYS = 7
PER_PLAY = 8000
"""A sample is ``play * PER_PLAY + index % PER_PLAY - 28000``, 0 left out, so that silence is nobody's."""


def samples_of(play: int, start: int, end: int) -> Pcm:
    """Return samples `start` to `end` of a play, which tell whose they are and where they belong."""
    values = play * PER_PLAY + np.arange(start, end) % PER_PLAY - 28000
    return (values + (values >= 0)).astype(np.int16)


def indices_of(play: int, heard: Pcm) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the indices, modulo `PER_PLAY`, of the samples of `play` in what was heard, in order."""
    values = heard.astype(np.int64) - (heard > 0) + 28000
    mine: np.ndarray[Any, np.dtype[np.int64]] = values[(values // PER_PLAY == play) & (heard != 0)]
    return mine % PER_PLAY


class ArraySource:
    """A whole array, or one that becomes available as time goes by (`available` says how much)."""

    def __init__(
        self, pcm: Pcm, *, available: Callable[[], int] | None = None, error: PlaybackError | None = None
    ) -> None:
        self._pcm, self._at = pcm, 0
        self._available = available
        self._failure = error
        self.is_closed = False

    @property
    def has_ended(self) -> bool:
        return self._at == len(self._pcm)

    @property
    def error(self) -> PlaybackError | None:
        return self._failure if self.has_ended else None

    @property
    def length_samples(self) -> int | None:
        return len(self._pcm)

    def read(self, samples: int) -> Pcm:
        assert not self.is_closed, "read after close"
        end = min(self._at + samples, len(self._pcm))
        if self._available is not None:
            end = max(min(end, self._available()), self._at)
        part = self._pcm[self._at : end]
        self._at = end
        return part

    def rewind(self) -> bool:
        if self._available is not None:
            return False
        self._at = 0
        return True

    def close(self) -> None:
        self.is_closed = True


class JsonFrames:
    """Frames as a Telnyx stream has them; `bare` ones have neither mark nor clear."""

    def __init__(self, *, bare: bool = False) -> None:
        self._bare = bare

    def media(self, payload: bytes) -> str:
        return json.dumps({"event": "media", "media": {"payload": base64.b64encode(payload).decode()}})

    def mark(self, name: str) -> str | None:
        return None if self._bare else json.dumps({"event": "mark", "mark": {"name": name}})

    def clear(self) -> str | None:
        return None if self._bare else json.dumps({"event": "clear"})


@dataclass
class ModelCarrier:
    """The other side of one socket, as `Wire`: payloads are little-endian PCM.

    Attributes:
        refuse: asked for every media message, by its number: an error code, or None to take it.
        returns_marks: a carrier may be silent, or lose the `lost` ones.
        min_interval_ns: a message that comes sooner after the one before is refused with 100005.
        clears: how often it was told to forget what it had.
        heard: what the caller has heard, silence while nothing was there included.
        replies: what it says, with the time at which it arrives.
    """

    clock: ManualClock
    refuse: Callable[[int], int | None] = lambda number: None
    returns_marks: bool = True
    lost: Callable[[str], bool] = lambda name: False
    delay_ns: int = 0
    min_interval_ns: int = 0
    is_open: bool = True
    buffered_bytes: int = 0
    sizes: list[int] = field(default_factory=list)
    sent_ns: list[int] = field(default_factory=list)
    replies: deque[tuple[int, dict[str, Any]]] = field(default_factory=deque)
    _queue: deque[Pcm | str] = field(default_factory=deque)
    _parts: list[Pcm] = field(default_factory=list)
    _played_ns: int = 0
    _taken_ns: int = -NS_PER_SECOND * 10
    most_queued: int = 0
    clears: int = 0

    def __post_init__(self) -> None:
        self._played_ns = self.clock.now_ns()

    @property
    def heard(self) -> Pcm:
        return np.concatenate([np.zeros(0, np.int16), *self._parts])

    @property
    def audible(self) -> Pcm:
        """What was heard without silence."""
        heard = self.heard
        sounds: Pcm = heard[heard != 0]
        return sounds

    @property
    def queued(self) -> int:
        return sum(len(item) for item in self._queue if not isinstance(item, str))

    def send(self, message: str | bytes) -> None:
        if not self.is_open:
            return
        self.play_until(self.clock.now_ns())
        frame = json.loads(message)
        if frame["event"] == "media":
            self._take_media(base64.b64decode(frame["media"]["payload"]))
        elif frame["event"] == "mark":
            self._queue.append(frame["mark"]["name"])
        else:
            self.clears += 1
            names = [item for item in self._queue if isinstance(item, str)]
            self._queue.clear()
            for name in names:
                self._return_mark(name)
        self.play_until(self.clock.now_ns())

    def _take_media(self, payload: bytes) -> None:
        now_ns = self.clock.now_ns()
        code = self.refuse(len(self.sizes))
        if now_ns - self._taken_ns < self.min_interval_ns:
            code = code or 100005
        self._taken_ns = now_ns
        self.sizes.append(len(payload) // 2)
        self.sent_ns.append(now_ns)
        if code is not None:
            self.reply({"event": "error", "code": code})
        else:
            self._queue.append(np.frombuffer(payload, "<i2").astype(np.int16))
            self.most_queued = max(self.most_queued, self.queued)

    def _return_mark(self, name: str) -> None:
        if self.returns_marks and not self.lost(name):
            self.reply({"event": "mark", "name": name})

    def reply(self, frame: dict[str, Any]) -> None:
        self.replies.append((self.clock.now_ns() + self.delay_ns, frame))

    def play_until(self, now_ns: int) -> None:
        wanted = (now_ns - self._played_ns) * RATE_HZ // NS_PER_SECOND
        self._played_ns += wanted * NS_PER_SECOND // RATE_HZ
        while self._queue:
            item = self._queue[0]
            if isinstance(item, str):
                self._queue.popleft()
                self._return_mark(item)
                continue
            if not wanted:
                return
            part, rest = item[:wanted], item[wanted:]
            self._parts.append(part)
            wanted -= len(part)
            if len(rest):
                self._queue[0] = rest
            else:
                self._queue.popleft()
        if wanted:
            self._parts.append(np.zeros(wanted, np.int16))


class Control(PlaybackControl):
    """What a play's handle asks of `playout`, at the time of `clock`."""

    playout: Playout
    clock: ManualClock

    def pause(self, voice: Voice) -> None:
        self.playout.pause(voice, self.clock.now_ns())

    def resume(self, voice: Voice) -> None:
        self.playout.resume(voice)

    def stop(self, voice: Voice) -> None:
        self.playout.stop(voice, self.clock.now_ns())

    def refresh(self, voice: Voice) -> None:
        self.playout.refresh()


class World(Control):
    """A playout, its carrier and the clock; everything moves in steps of 5 ms."""

    def __init__(self, playout: Playout, carrier: ModelCarrier, clock: ManualClock) -> None:
        self.playout, self.carrier, self.clock = playout, carrier, clock
        playout.attach(carrier, clock.now_ns())

    def play(self, play: int, samples: int, *, source: ArraySource | None = None, **options: Any) -> Playback:
        handle = Playback(RATE_HZ, f"play {play}")
        voice = Voice(source or ArraySource(samples_of(play, 0, samples)), handle, **options)
        self.playout.add(voice, self)
        return handle

    def run(self, seconds: float) -> None:
        """Let so much time go by."""
        self._poll()
        for _ in range(round(seconds * NS_PER_SECOND / STEP_NS)):
            self.clock.advance(STEP_NS)
            self.deliver()
            self._poll()

    def deliver(self) -> None:
        now_ns = self.clock.now_ns()
        self.carrier.play_until(now_ns)
        replies = self.carrier.replies
        while replies and replies[0][0] <= now_ns:
            _, frame = replies.popleft()
            if frame["event"] == "mark":
                self.playout.take_mark(frame["name"], now_ns)
            else:
                self.playout.take_error(frame["code"], f"{frame['code']} some words", now_ns)

    def _poll(self) -> None:
        for _ in range(10):
            if self.playout.deadline() > self.clock.now_ns():
                return
            self.playout.poll(self.clock.now_ns())
            self.deliver()
        raise AssertionError("poll has always something to do")

    def run_out(self, limit_seconds: float = 120) -> None:
        """Let time go by until nothing is left to do."""
        for _ in range(round(limit_seconds / 0.1)):
            self.run(0.1)
            if self.playout.deadline() == NEVER_NS:
                return
        raise AssertionError("it does not end")
