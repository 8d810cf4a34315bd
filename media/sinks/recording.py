"""`RecordingSink`: a stereo file per call, left inbound, right outbound, each sample where its position says.

The common case runs in columns: whole blocks that continue their tracks go into the `Stage` by one scatter a
batch, and Python touches a call about twice a second, to write what it has. Everything else - partial blocks,
gaps, late packets, a channel that lags - takes the path of single rows (`_place`), which is slower and makes
the same file.

Calls that are PCM already, at any rate, are `media.sinks.linear`'s.

A call is written up to where both channels have come, but never more than `LAG_SAMPLES` behind the further
one; what a lagging channel or a late packet brings for a part that is in the file already is patched into it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from media.blocks import PcmBatch
from media.sealing.keys import Recipients
from media.sinks.accounts import Accounts
from media.sinks.columns import lengthened
from media.sinks.continuation import Patience
from media.sinks.contract import HANDED_OVER, CallInfo, CallReport, SinkUse, recorder_options
from media.sinks.finisher import Finisher, hand_over
from media.sinks.health import RecordingSnapshot
from media.sinks.laws import in_laws
from media.sinks.linear import LinearCalls
from media.sinks.recorded_call import RecordedCall, Trouble
from media.sinks.stage import Positions, Slots, Stage, Tracks
from media.sinks.wav import Encoding
from strep.clock import NS_PER_MS, Clock, SystemClock
from strep.g711 import Codec, decode

_LOG = logging.getLogger(__name__)

FLUSH_SAMPLES = 4_096
"""A call is written whenever so much of it, header included, fills the file: half a second, 16 KiB.

Pieces that are a power of two long and lie at a multiple of it cost the kernel a third less: each is one folio. Twice
as long would be cheaper still, but a process that is killed loses at most a second of each channel:

    ======  ==================================================================================
    512 ms  staged, until the file's next multiple of it is full
    150 ms  staged, because the other channel lags (`LAG_SAMPLES`)
    100 ms  of a block that is not full (`SinkOptions.block_ms`)
     60 ms  behind a hole that is not given up (`TimelineSettings.reorder_wait_ms`)
    150 ms  in the kernel or the timeline until the engine hands out: patience, and half of it
    972 ms  in all, counted in samples, so whatever the clock does; more only where the disk stalls
    ======  ==================================================================================

    Of a call whose packets keep coming, with a `reorder_wait_ms` of 60; docs/recordings.md tells of others.
"""
LAG_SAMPLES = 1_200
"""How far the file may be behind the further channel of a call, waiting for the other one: a block, and jitter."""
_STAGE_SAMPLES = FLUSH_SAMPLES + LAG_SAMPLES + 800  # and a block; 12 KiB a call
AGED_NS = 800 * NS_PER_MS
"""What waited for so long is written, however little: a call that goes on is due before."""
SWEEP_NS = 250 * NS_PER_MS
_NO_LAW = 0xFF


class RecordingSink:
    """Writes ``<directory>/<call_id>.wav`` and ``.json`` for every call.

    No method raises because of the disk, see `RecordedCall`; a mistake of ours ends the recording that it is about.
    """

    def __init__(
        self,
        directory: Path,
        format: Literal["pcm16", "passthrough"] = "pcm16",
        clock: Clock | None = None,
        calls: int = 16,
        finisher: Finisher | None = None,
        uses: Callable[[CallInfo], Sequence[SinkUse]] = lambda call: (),
        *,
        is_pcm: bool = False,
        recipients: Recipients = (),
    ) -> None:
        """Prepare; the directory is made with the first call.

        Args:
            directory: where the files go.
            format: "pcm16", or "passthrough": the carrier's G.711 bytes as they came, half the size. The law
                is that of the call's first block; blocks of the other law are transcoded to it.
            clock: for header times and log lines.
            calls: at once, for which address space is reserved; see `Stage`.
            finisher: what gets the recordings that are closed.
            uses: tells what each sink got of a call, for its sidecar.
            is_pcm: PCM comes of all calls, for a filter is in front.
            recipients: for whom to seal them; nobody: they are in clear.
        """
        self.options = recorder_options("recording", 512 << 20)
        self._directory, self._passthrough = Path(directory), format == "passthrough"
        self._encoding = Encoding.PCMU if self._passthrough else Encoding.PCM16
        self._clock = clock or SystemClock()
        self._trouble, self._finisher, self._uses = Trouble(), finisher, uses
        self._stage = Stage(
            _STAGE_SAMPLES,
            FLUSH_SAMPLES,
            lead_samples=self._encoding.data_offset // self._encoding.frame_bytes,
            decode=not self._passthrough,
            calls=calls,
        )
        self._linear, self._is_pcm, self._recipients = LinearCalls(), is_pcm, recipients
        self._patience = Patience(self._clock)
        self._accounts = Accounts(self._directory, self._clock, is_sealed=bool(recipients))
        self._live, self._by_slot = dict[int, RecordedCall](), dict[int, RecordedCall]()
        self._slots = np.full(1, -1, np.intp)  # by CallInfo.index; the last is a sentinel, -1
        self._laws = np.full(1, _NO_LAW, np.uint8)  # as _slots: the law of a passthrough file
        self._offsets = np.zeros(1, np.int64)  # as _slots: where in its file a call's position 0 lies
        self._started = self._ended = self._blocks = self._single_rows = self._patched = 0
        self._next_sweep_ns = self._continued = self._moved = self._handed_over = 0

    def call_started(self, call: CallInfo) -> None:
        """Create the call's file and sidecar."""
        if call.index in self._live:
            self.call_ended(self._live[call.index].call, None)
        self._started += 1
        is_linear = call.is_linear or self._is_pcm
        encoding = Encoding.PCM16 if is_linear else self._encoding
        about = self._directory, encoding, self._trouble, self._clock
        recording = RecordedCall(call, *about, recipients=self._recipients, patience=self._patience)
        self._live[call.index] = recording
        self._accounts.begin(recording)
        if call.index >= len(self._slots) - 1:
            self._slots = lengthened(self._slots, 2 * call.index + 64, -1)
            self._laws = lengthened(self._laws, len(self._slots), _NO_LAW)
            self._offsets = lengthened(self._offsets, len(self._slots), 0)
        if recording.wav and is_linear:
            self._continued += recording.continued is not None
            self._linear.add(recording)
        elif recording.wav:
            recording.slot = self._stage.claim()
            self._by_slot[recording.slot] = recording
            self._slots[call.index], self._laws[call.index] = recording.slot, _NO_LAW
            self._offsets[call.index] = recording.offset_samples
            if recording.continued:
                self._continue(recording)

    def _continue(self, recording: RecordedCall) -> None:
        """Go on where another process stopped: its file has a length, and maybe a law."""
        self._continued, self._moved = self._continued + 1, self._moved + 1
        self._stage.rebase(recording.slot, recording.next_samples)
        if self._passthrough and recording.wav and recording.wav.length_samples:
            law = Codec[recording.wav.encoding.name]
            self._laws[recording.call.index] = self._stage.law[recording.slot] = law

    def receive(self, batch: PcmBatch) -> None:
        """Stage the blocks, write the calls that are due."""
        if len(batch):
            try:
                self._put(batch)
            except Exception:
                indexes: list[int] = np.unique(batch.call).tolist()  # what is in its place is put there once more
                self._each_alone(indexes, lambda index: self._put(batch.take(batch.call == index)))
        self._accounts.receive(batch)
        if not len(batch) or batch.now_ns >= self._next_sweep_ns:
            self._next_sweep_ns = batch.now_ns + SWEEP_NS
            try:
                self._sweep(batch.now_ns)
            except Exception:
                indexes = [recording.call.index for recording in self._by_slot.values()]
                self._each_alone(indexes, lambda index: self._write_all(self._live[index].slot, batch.now_ns))

    def _put(self, batch: PcmBatch) -> None:
        if batch.is_linear:
            self._linear.receive(batch)
            self._blocks += len(batch)
        else:
            self._write(*self._stage.full(self._take(batch), LAG_SAMPLES), batch.now_ns)

    def _each_alone(self, indexes: list[int], do: Callable[[int], None]) -> None:
        """Do for each call what cannot be done for all: a mistake ends the recording that it is about."""
        for index in indexes:
            try:
                do(index)
            except Exception as error:
                _LOG.exception("a mistake of ours")
                if index in self._live:
                    self._live[index].fail(error)
                    self._unstage(self._live[index])

    def call_ended(self, call: CallInfo, report: CallReport | None) -> None:
        """Write everything, pad the shorter channel, close, write the sidecar."""
        recording = self._live.pop(call.index, None)
        if recording is None:
            return
        self._ended += 1
        try:
            if recording.slot >= 0:
                self._write_all(recording.slot, self._clock.now_ns())
            self._linear.remove(call.index, self._clock.now_ns())
        except Exception as error:
            _LOG.exception("a mistake of ours")
            recording.fail(error)
        self._unstage(recording)
        self._moved -= bool((before := recording.continued) and before.wav) and not (call.is_linear or self._is_pcm)
        if report is not None and report.reason == HANDED_OVER:
            self._accounts.leave(recording)
            recording.hand_over()
            self._handed_over += recording.error is None
            return
        recording.finish(report, self._finisher.wish() if self._finisher is not None else None, self._uses(call))
        self._accounts.end(recording)
        if self._finisher is not None:
            hand_over(recording, self._finisher)

    def close(self) -> None:
        """End the recordings of calls that nobody ended."""
        for recording in list(self._live.values()):
            self.call_ended(recording.call, None)

    def snapshot(self) -> RecordingSnapshot:
        """Return the counters; from another thread they may be of slightly different moments."""
        return RecordingSnapshot(
            live=len(self._by_slot) + len(self._linear),
            started=self._started,
            ended=self._ended,
            failed=self._trouble.recordings,
            sidecar_errors=self._trouble.sidecars,
            blocks=self._blocks,
            single_rows=self._single_rows,
            patched_samples=self._patched + self._linear.patched_samples,
            continued=self._continued,
            handed_over=self._handed_over,
            stage_bytes=self._stage.size_bytes,
        )

    def _take(self, batch: PcmBatch) -> Tracks:
        """Put every row in its place; return its track in the stage, negative where there is none."""
        slots = self._slots.take(batch.call, mode="clip")
        rows, codecs = self._recoded(batch, slots) if self._passthrough else (batch.encoded, batch.codec)
        tracks = slots * 2 + batch.channel
        positions = batch.positions + self._offsets.take(batch.call, mode="clip") if self._moved else batch.positions
        width = rows.shape[1]
        fast = self._stage.accepts(tracks, positions, codecs, width)
        fast &= batch.last - batch.first == width
        self._blocks += len(batch)
        if fast.all():
            self._stage.scatter(tracks, positions, rows, batch.now_ns)
            return tracks
        is_known = slots >= 0
        fast &= ~np.isin(tracks, tracks[~fast & is_known])  # the rows of one track stay in their order
        chosen = np.flatnonzero(fast)
        if len(chosen):
            self._stage.scatter(tracks[chosen], positions[chosen], rows[chosen], batch.now_ns)
        singles = np.flatnonzero(~fast & is_known)
        self._single_rows += len(singles)
        for row in singles.tolist():
            slot, channel = int(slots[row]), int(batch.channel[row])
            first, last = int(batch.first[row]), int(batch.last[row])
            if slot in self._by_slot and first < last:
                self._set_channel_law(slot, channel, Codec(int(codecs[row])), batch.now_ns)
                self._place(slot, channel, int(positions[row]) + first, rows[row, first:last], batch.now_ns)
        return tracks

    def _place(self, slot: int, channel: int, position: int, codes: NDArray[np.uint8], now_ns: int) -> None:
        """Put one track's code bytes where they belong: the file, the stage, or beyond it."""
        stage = self._stage
        if position < 0:  # before the origin there is no file
            position, codes = 0, codes[-position:]
        while len(codes) and slot in self._by_slot:
            early = int(stage.base[slot]) - position
            if early > 0:
                piece = codes[:early]
                law = Codec(int(stage.law[slot, channel]))
                samples = piece if self._passthrough else decode(piece, law)
                self._by_slot[slot].patch(channel, position, samples)
                self._patched += len(piece)
                self._drop_failed(slot)
            else:
                piece = codes[: stage.length_samples]
                if not stage.fits(slot, channel, position, len(piece)):
                    self._write_all(slot, now_ns)
                    if position > stage.base[slot]:
                        stage.rebase(slot, position)
                    continue
                stage.place(slot, channel, position, piece, now_ns)
            position, codes = position + len(piece), codes[len(piece) :]

    def _sweep(self, now_ns: int) -> None:
        """Write what has been staged for long."""
        self._write(*self._stage.aged(now_ns - AGED_NS), now_ns)
        self._linear.sweep(now_ns)

    def _write(self, slots: Slots, until: Positions, now_ns: int) -> None:
        """Write the staged frames before ``until[i]`` of each slot and forget them."""
        if not len(slots):
            return
        failed = []
        for slot, base, frames in self._stage.frames(slots, until):
            recording = self._by_slot[slot]
            recording.write(base, frames)
            if recording.wav is None:
                failed.append(recording)
        self._stage.consume(slots, until, now_ns)
        for recording in failed:
            self._unstage(recording)

    def _write_all(self, slot: int, now_ns: int) -> None:
        """Write everything that is staged of one call."""
        if (head := self._stage.head(slot)) > self._stage.base[slot]:
            self._write(np.array([slot]), np.array([head]), now_ns)

    def _drop_failed(self, slot: int) -> None:
        if (recording := self._by_slot[slot]).wav is None:
            self._unstage(recording)

    def _unstage(self, recording: RecordedCall) -> None:
        """Take the call out of the stage: its rows are ignored from now on."""
        if recording.slot >= 0:
            self._stage.release(recording.slot)
            del self._by_slot[recording.slot]
            self._slots[recording.call.index] = -1
            recording.slot = -1

    def _set_channel_law(self, slot: int, channel: int, codec: Codec, now_ns: int) -> None:
        """Let the stage hold another law of a track from now on."""
        if self._stage.law[slot, channel] != codec:
            self._write_all(slot, now_ns)
            self._stage.law[slot, channel] = codec

    def _recoded(self, batch: PcmBatch, slots: Slots) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return the batch's code bytes, each row in the law of its call's file, and these laws."""
        laws = self._laws.take(batch.call, mode="clip")
        new = np.flatnonzero((laws == _NO_LAW) & (slots >= 0))
        if len(new):
            for row in new.tolist():
                self._set_law(int(batch.call[row]), Codec(int(batch.codec[row])))
            laws = self._laws.take(batch.call, mode="clip")
        return in_laws(batch, np.where(laws == _NO_LAW, batch.codec, laws)), laws

    def _set_law(self, index: int, codec: Codec) -> None:
        """Let the first block of a call decide the law of its file."""
        if self._laws[index] != _NO_LAW:
            return
        recording = self._live[index]
        self._laws[index] = codec
        self._stage.law[recording.slot] = codec
        recording.set_encoding(Encoding.of(codec))
        self._drop_failed(recording.slot)
