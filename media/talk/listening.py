"""What applications hear: a sink like any other, which hands the rows of the calls that somebody listens to over to
the event loop, once per batch. A call that nobody listens to costs it one look-up in a set. Noise is suppressed here,
where it is wanted, for what nobody hears need not be filtered.

An application begins a few turns of the event loop after its call, and in a busy process audio is there before it. So
every call is listened to from its start on, until its application has had its first turn (`Hearing.settle`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from weakref import WeakValueDictionary

import numpy as np

from media.blocks import PcmBatch
from media.concealing.concealer import Concealer
from media.denoising.denoiser import Denoiser, Publish, telling
from media.sinks.contract import CallInfo, CallReport, SinkOptions
from media.talk.contract import Pcm
from media.talk.mailbox import Mailbox
from media.talk.noise import NoiseControl
from strep.header import Direction

MAX_WAITING_SECONDS = 10
"""Audio that may wait for one listener; what is older is dropped, and `Mailbox.dropped` counts its blocks."""
MAX_EARLY_BLOCKS = 1000
"""Blocks that may wait for an application to begin: 10 s of both tracks; the oldest are dropped."""


@dataclass(frozen=True, slots=True)
class Block:
    """Audio of one track.

    Attributes:
        position_samples: where ``pcm[0]`` lies on the call's timeline.
        pcm: (n,) int16, not to be written to.
        sample_rate_hz: of it.
    """

    position_samples: int
    pcm: Pcm
    sample_rate_hz: int


class Ear:
    """One listener to one track: cuts what comes into blocks of one length."""

    def __init__(self, direction: Direction, block_ms: int) -> None:
        self.direction = direction
        self.mailbox: Mailbox[Block] = Mailbox(max(MAX_WAITING_SECONDS * 1000 // block_ms, 1))
        self._block_ms = block_ms
        self._rest: Block | None = None

    def hear(self, block: Block) -> None:
        """Take audio that follows, or lies behind a pause."""
        rest, rate_hz = self._rest, block.sample_rate_hz
        if rest is not None and rest.position_samples + len(rest.pcm) == block.position_samples:
            block = Block(rest.position_samples, np.concatenate([rest.pcm, block.pcm]), rate_hz)
        elif rest is not None:
            self.mailbox.put(rest)
        n = self._block_ms * rate_hz // 1000
        whole = len(block.pcm) - len(block.pcm) % n
        for start in range(0, whole, n):
            self.mailbox.put(Block(block.position_samples + start, block.pcm[start : start + n], rate_hz))
        rest = Block(block.position_samples + whole, block.pcm[whole:], rate_hz)
        self._rest = rest if len(rest.pcm) else None

    def end(self) -> None:
        """Nothing more will come."""
        if self._rest is not None:
            self.mailbox.put(self._rest)
            self._rest = None
        self.mailbox.close()


class Hearing:
    """What one call is heard by: its ears, and what they missed before there were any. Used in the event loop.

    Attributes:
        call: whose.
        is_wanted: whether anybody listens; the sink's thread may read it.
        noise: by which noise suppression is switched.
    """

    def __init__(self, call: CallInfo, tell: Callable[[Hearing], None], noise: NoiseControl) -> None:
        """Begin to listen; `tell` is called when `is_wanted` has changed."""
        self.call, self.is_wanted, self.noise = call, True, noise
        self._tell = tell
        self._ears: list[Ear] = []
        self._early: deque[tuple[Direction, Block]] | None = deque(maxlen=MAX_EARLY_BLOCKS)
        self._has_ended = False

    def add(self, ear: Ear) -> None:
        """Let `ear` hear what comes from now on, before `settle` also what has come."""
        self._ears.append(ear)
        for direction, block in self._early or ():
            if ear.direction == direction:
                ear.hear(block)
        if self._has_ended:
            ear.end()
        self._look()

    def remove(self, ear: Ear) -> None:
        """Let `ear` hear no more."""
        self._ears.remove(ear)
        ear.end()
        self._look()

    def settle(self) -> None:
        """Keep nothing for ears to come: the application has begun."""
        self._early = None
        self._look()

    def hear(self, direction: Direction, block: Block) -> None:
        """Take audio of one track."""
        if self._early is not None:
            self._early.append((direction, block))
        for ear in self._ears:
            if ear.direction == direction:
                ear.hear(block)

    def end(self) -> None:
        """Nothing more will come."""
        self._has_ended = True
        for ear in self._ears:
            ear.end()

    def _look(self) -> None:
        self.is_wanted = bool(self._ears) or self._early is not None
        self._tell(self)


class ListenSink:
    """Hands audio over to the event loop, where each call's `Hearing` takes it.

    Attributes:
        noise: the sinks of which applications may switch noise suppression; this one is among them.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], object], block_ms: int = 20) -> None:
        """Prepare; `call_soon` calls a function in the event loop, from any thread."""
        self.options = SinkOptions(
            "applications", block_ms=block_ms, max_queue_seconds=MAX_WAITING_SECONDS, is_sensitive=False
        )
        self._call_soon = call_soon
        self.noise, self._denoiser = NoiseControl(), Denoiser()
        self._concealer: Concealer | None = None
        self.noise.add(self.options.name, self)
        self._begun: WeakValueDictionary[int, Hearing] = WeakValueDictionary()  # by the id() of its `CallInfo`
        self._changed: deque[Hearing] = deque()
        # Of the sink's thread. An index is that of another call when the thread has seen the end of the first.
        self._live: dict[int, Hearing] = {}
        self._wanted: dict[int, Hearing] = {}

    def begin(self, call: CallInfo) -> Hearing:
        """Listen to a call from its start; called in the event loop before the sink is told of the call."""
        hearing = self._begun[id(call)] = Hearing(call, self._changed.append, self.noise)
        return hearing

    def denoise(self, on: Collection[Direction], publish: Publish) -> None:
        """Suppress noise in `on` of every call from its start on; tell `publish`. Before there are calls."""
        self._denoiser = Denoiser(on, telling(publish, self.options.name))

    def conceal(self) -> None:
        """Fill what is lost, of all calls that somebody listens to. Before there are calls."""
        self._concealer = Concealer(is_sensitive=self.options.is_sensitive)

    def switch(self, call: CallInfo, direction: Direction, *, on: bool) -> None:
        """See `media.talk.noise.Switchable`."""
        self._denoiser.switch(call, direction, on=on)

    def call_started(self, call: CallInfo) -> None:
        """Know whose the index is from now on."""
        if self._concealer is not None:
            self._concealer.begin(call)
        self._denoiser.begin(call)
        hearing = self._begun.get(id(call))
        if hearing is not None:
            self._live[call.index] = hearing
            self._look_at(hearing)

    def receive(self, batch: PcmBatch) -> None:
        """Hand over the rows that somebody listens to."""
        while self._changed:
            self._look_at(self._changed.popleft())
        if batch.late:
            return
        wanted = self._wanted
        heard = np.isin(batch.call, np.fromiter(wanted, np.int32, len(wanted)))
        rows = batch.take(heard) if heard.any() else PcmBatch.tick(batch.now_ns)
        if self._concealer is not None:
            rows = self._concealer.receive(rows)
        self._say(self._denoiser.receive(rows))

    def _say(self, batches: Iterable[PcmBatch]) -> None:
        said: list[tuple[Hearing, Direction, Block]] = []
        for rows in batches:
            for row, (index, channel) in enumerate(zip(rows.call.tolist(), rows.channel.tolist(), strict=True)):
                first, last = int(rows.first[row]), int(rows.last[row])
                if first < last and index in self._wanted:
                    block = Block(int(rows.positions[row]) + first, rows.pcm[row, first:last], rows.sample_rate_hz)
                    said.append((self._wanted[index], Direction(channel), block))
        if said:
            self._call_soon(lambda: _hand_over(said))

    def call_ended(self, call: CallInfo, report: CallReport) -> None:
        """End the ears of the call, behind the last of its audio."""
        self._say(self._denoiser.end(call))
        if self._concealer is not None:
            self._concealer.end(call)
        self._wanted.pop(call.index, None)
        hearing = self._live.pop(call.index, None)
        if hearing is not None:
            self._call_soon(hearing.end)

    def close(self) -> None:
        """Do nothing: the calls have ended."""

    def _look_at(self, hearing: Hearing) -> None:
        index = hearing.call.index
        if self._live.get(index) is not hearing:
            return
        if hearing.is_wanted:
            self._wanted[index] = hearing
        else:
            self._wanted.pop(index, None)


def _hand_over(said: list[tuple[Hearing, Direction, Block]]) -> None:
    for hearing, direction, block in said:
        hearing.hear(direction, block)
