"""`FeedSink`: the audio of calls, for any number of readers, each with a wish of its own.

What several readers want alike is resampled and written once: per call there is a `Line` for each track and rate that
anybody wants, and behind it a `_Strand` for each format, whose messages all its readers share. A call that nobody
wants costs one look-up in an array per batch.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from media.blocks import PcmBatch
from media.feed.conversion import Line, Piece, Stretch
from media.feed.selection import Selection
from media.feed.subscription import CallBegan, CallOver, Calls, Item, Limits, Subscription
from media.feed.wire import Flag, PcmMessage, SampleFormat, serialize
from media.sinks.contract import CallInfo, CallReport, SinkOptions
from strep.clock import NEVER_NS, NS_PER_SECOND
from strep.g711 import Codec
from strep.header import Direction

BLOCK_MS = 100
PATIENCE_MS = 40
"""As `media.sinks.hearing`: media streams can still be read several frames at a time."""


Tap = Callable[[PcmBatch], object]
"""Looks at batches in the feed's thread, and returns at once."""


@dataclass(slots=True)
class _Strand:
    """Messages of one track, rate and format, and who gets them."""

    form: SampleFormat
    readers: list[Subscription] = field(default_factory=list)
    sequence_number: int = 0


@dataclass(slots=True)
class _Reel:
    """One track at one rate, in the formats that are wanted."""

    channel: int
    rate_hz: int
    line: Line
    strands: dict[SampleFormat, _Strand] = field(default_factory=dict)


class _FedCall:
    """A call that somebody wants, or may come to want."""

    def __init__(self, call: CallInfo) -> None:
        self.call = call
        self.reels: dict[tuple[int, int], _Reel] = {}

    @property
    def readers(self) -> list[Subscription]:
        """Everybody who gets it, each once."""
        return list({id(reader): reader for strand in self._strands() for reader in strand.readers}.values())

    def _strands(self) -> Iterator[_Strand]:
        for reel in self.reels.values():
            yield from reel.strands.values()

    def add(self, reader: Subscription) -> None:
        """Let a reader have it, too, from now on."""
        wish = reader.selection
        rate_hz = wish.rate_of(self.call.sample_rate_hz)
        for channel in map(int, wish.tracks):
            reel = self.reels.get((channel, rate_hz))
            if reel is None:
                line = Line(self.call.sample_rate_hz, rate_hz)
                reel = self.reels[channel, rate_hz] = _Reel(channel, rate_hz, line)
            reel.strands.setdefault(wish.format, _Strand(wish.format)).readers.append(reader)

    def remove(self, gone: set[Subscription]) -> None:
        """Let readers have it no more, and forget what nobody else wants."""
        for key, reel in list(self.reels.items()):
            for form, strand in list(reel.strands.items()):
                strand.readers = [reader for reader in strand.readers if reader not in gone]
                if not strand.readers:
                    del reel.strands[form]
            if not reel.strands:
                del self.reels[key]

    def messages(self, reel: _Reel, pieces: list[Piece]) -> Iterator[tuple[_Strand, bytes]]:
        """Yield the pieces as messages, in each of the formats."""
        for piece in pieces:
            for strand in reel.strands.values():
                yield strand, self._message(reel, strand, piece)

    def last_messages(self) -> Iterator[tuple[_Strand, bytes]]:
        """Yield what the filters still hold, and the end of each track that had a beginning."""
        for reel in self.reels.values():
            yield from self.messages(reel, reel.line.finish())
            if reel.line.end_samples is not None:
                yield from self.messages(reel, [Piece(reel.line.end_samples, np.empty(0, np.int16), Flag.END)])

    def _message(self, reel: _Reel, strand: _Strand, piece: Piece) -> bytes:
        message = PcmMessage(
            self.call.call_id,
            Direction(reel.channel),
            reel.rate_hz,
            strand.form,
            piece.position_samples,
            strand.sequence_number,
            self.call.position_0_wall_ns,
            piece.payload(strand.form),
            piece.lost_samples,
            piece.flags,
        )
        strand.sequence_number += 1
        return serialize(message)


class FeedSink:
    """Feeds subscriptions; `subscribe`, `unsubscribe`, `tap`, `calls`, `is_live` and `snapshot` are for any thread.

    Attributes:
        messages: written, each once whoever gets it.
        cut_off: subscriptions that were ended because their readers were slow.
    """

    def __init__(self, block_ms: int = BLOCK_MS) -> None:
        """Begin without a reader; `block_ms` is how much audio a message has, unless another sink wants less."""
        self.options = SinkOptions("feed", block_ms=block_ms, patience_ms=PATIENCE_MS, is_sensitive=True)
        self.messages = self.cut_off = 0
        self._lock = threading.Lock()
        self._coming: list[Subscription] = []
        self._has_left = False
        self._taps: tuple[Tap, ...] = ()
        # Of the sink's thread.
        self._subscriptions: list[Subscription] = []
        self._calls: dict[int, _FedCall] = {}
        self._wanted: set[int] = set()
        self._outbox: defaultdict[Subscription, list[Item]] = defaultdict(list)
        self._next_look_ns = 0

    # -- readers: any thread ---------------------------------------------------------------------------

    def subscribe(
        self,
        selection: Selection,
        limits: Limits | None = None,
        *,
        wake: Callable[[], object] = lambda: None,
        calls: Calls = Calls.ALL,
    ) -> Subscription:
        """Let somebody have what is selected, of live calls and of those to come; see `Subscription`."""
        subscription = Subscription(selection, limits, wake=wake, calls=calls)
        with self._lock:
            self._coming.append(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Let somebody have nothing any more."""
        subscription.end("unsubscribed")
        self._has_left = True

    def calls(self) -> list[CallInfo]:
        """Return the calls that are live."""
        return [fed.call for fed in list(self._calls.values())]

    def is_live(self, call: CallInfo) -> bool:
        """Whether a call is live, and has its number still."""
        fed = self._calls.get(call.index)
        return fed is not None and fed.call is call

    def tap(self, tap: Tap) -> Callable[[], None]:
        """Hand every batch to `tap` as well, patches and empty ones too; return what ends that."""
        with self._lock:
            self._taps += (tap,)
        return lambda: self._untap(tap)

    def _untap(self, tap: Tap) -> None:
        with self._lock:
            self._taps = tuple(other for other in self._taps if other != tap)

    def snapshot(self) -> dict[str, Any]:
        """Return counters."""
        subscriptions = list(self._subscriptions)
        return {
            "subscriptions": len(subscriptions),
            "waiting_bytes": sum(subscription.waiting_bytes for subscription in subscriptions),
            "messages": self.messages,
            "cut_off": self.cut_off,
        }

    # -- Sink: its thread ------------------------------------------------------------------------------

    def call_started(self, call: CallInfo) -> None:
        """Give the call to those that wait for it."""
        self._take_changes()
        fed = self._calls[call.index] = _FedCall(call)
        for subscription in self._subscriptions:
            if subscription.calls is not Calls.ONE and subscription.selection.wants(call.call_id):
                if subscription.calls is Calls.NEXT:
                    subscription.settle(replace(subscription.selection, calls=call.call_id))
                self._join(fed, subscription)
        self._send(NEVER_NS)  # the last batch may be of hours ago

    def receive(self, batch: PcmBatch) -> None:
        """Write the blocks of calls that somebody wants."""
        self._take_changes()
        for tap in self._taps:
            tap(batch)
        if self._wanted and len(batch):
            wanted = np.isin(batch.call, np.fromiter(self._wanted, np.int32, len(self._wanted)))
            if wanted.any():
                self._write(batch if wanted.all() else batch.take(wanted))
        self._send(batch.now_ns)
        if batch.now_ns >= self._next_look_ns:
            self._next_look_ns = batch.now_ns + NS_PER_SECOND
            for subscription in self._subscriptions:
                subscription.put((), batch.now_ns)
            self._drop_those_that_are_over()

    def call_ended(self, call: CallInfo, report: CallReport) -> None:
        """Tell the readers of the call, behind the last of its audio."""
        fed = self._calls.pop(call.index)
        self._wanted.discard(call.index)
        readers = fed.readers
        for strand, message in fed.last_messages():
            self._post(strand, message)
        for reader in readers:
            self._outbox[reader].append(CallOver(call, report))
        self._send(NEVER_NS)
        for reader in readers:
            if reader.calls is Calls.ONE:
                reader.end("ended")
        self._drop_those_that_are_over()

    def close(self) -> None:
        """End all subscriptions: the server is stopping."""
        self._take_changes()
        for subscription in self._subscriptions:
            subscription.end("closed")

    def _take_changes(self) -> None:
        if not self._coming and not self._has_left:
            return
        with self._lock:
            coming, self._coming = self._coming, []
            self._has_left = False
        self._subscriptions += coming
        for subscription in coming:
            if subscription.calls is Calls.NEXT:
                continue
            live = [fed for fed in self._calls.values() if subscription.selection.wants(fed.call.call_id)]
            for fed in live:
                self._join(fed, subscription)
            if subscription.calls is Calls.ONE and not live:
                subscription.end("no_call")
        self._drop_those_that_are_over()

    def _join(self, fed: _FedCall, subscription: Subscription) -> None:
        fed.add(subscription)
        self._wanted.add(fed.call.index)
        self._outbox[subscription].append(CallBegan(fed.call))

    def _drop_those_that_are_over(self) -> None:
        gone = {subscription for subscription in self._subscriptions if subscription.why_over}
        if not gone:
            return
        self.cut_off += sum(subscription.why_over == "slow" for subscription in gone)
        self._subscriptions = [subscription for subscription in self._subscriptions if subscription not in gone]
        for index in list(self._wanted):
            fed = self._calls[index]
            fed.remove(gone)
            if not fed.reels:
                self._wanted.discard(index)

    def _write(self, batch: PcmBatch) -> None:
        lost: dict[int, list[Stretch]] = {}
        for row, start, end in batch.lost.tolist():
            at = int(batch.positions[row])
            lost.setdefault(row, []).append((at + start, at + end))
        is_mulaw = (batch.codec == Codec.PCMU).tolist()
        columns = (batch.call, batch.channel, batch.positions, batch.first, batch.last)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for row, (index, channel, position, first, last) in enumerate(rows):
            if first >= last:
                continue
            fed, pcm = self._calls[index], batch.pcm[row, first:last]
            codes = batch.encoded[row, first:last].view(np.uint8) if is_mulaw[row] else None
            piece = Piece(position + first, pcm, codes=codes)
            for reel in fed.reels.values():
                if reel.channel == channel:
                    pieces = reel.line.patch(piece) if batch.late else reel.line.take(piece, lost.get(row, ()))
                    for strand, message in fed.messages(reel, pieces):
                        self._post(strand, message)

    def _post(self, strand: _Strand, message: bytes) -> None:
        self.messages += 1
        for reader in strand.readers:
            self._outbox[reader].append(message)

    def _send(self, now_ns: int) -> None:
        """Put what was written into the queues, at once for each reader; `NEVER_NS`: nobody knows when this is."""
        if not self._outbox:
            return
        has_lost_one = False
        for reader, items in self._outbox.items():
            reader.put(items, now_ns)
            has_lost_one |= bool(reader.why_over)
        self._outbox.clear()
        if has_lost_one:
            self._drop_those_that_are_over()
