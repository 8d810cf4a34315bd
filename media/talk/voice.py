"""`Voice`: one play being read: passes of a loop, volume, and what was read but not heard and can be taken back."""

from __future__ import annotations

from collections import deque

import numpy as np

from media.talk.contract import Pcm, PcmSource, PlaybackError
from media.talk.handle import MAX_VOLUME_DB, MIN_VOLUME_DB, Playback

FOREVER = 0
"""The number of passes of a loop without end."""
RAMP_SECONDS = 0.02
"""How long a change of volume takes: a step would click."""
EMPTY = np.zeros(0, np.int16)
EMPTY.setflags(write=False)


class Voice:
    """Reads one source for a player; every sample it gives lies somewhere in the player's output.

    Attributes:
        handle: the play.
        is_overlay: it lies over the queue.
        is_paused: it gives nothing for now.
        is_starved: a live source had nothing when it was asked last.
        error: why it ended early; the play fails when what was read before has been heard.
    """

    def __init__(
        self, source: PcmSource, handle: Playback, *, loop: int = 1, volume_db: float = 0.0, is_overlay: bool = False
    ) -> None:
        """Read `source` `loop` times, or `FOREVER`.

        Raises:
            ValueError: a negative loop, or a volume out of range.
        """
        if loop < 0:
            raise ValueError(f"loop={loop}: a number of passes, or 0 for ever")
        self.handle = handle
        self.is_overlay = is_overlay
        self.is_paused = self.is_starved = False
        self.error: PlaybackError | None = None
        self._source: PcmSource | None = source
        self._passes = loop
        self._samples_of_pass = 0
        self._ramp_samples = max(round(RAMP_SECONDS * handle.sample_rate_hz), 1)
        self.volume_db = volume_db
        self._gain = self._target_gain
        self._taken_back: deque[Pcm] = deque()
        self._unheard: deque[Pcm] = deque()
        # Where what was read lies in the output: [output position, samples], in order, not heard yet.
        self.segments: deque[list[int]] = deque()
        self.output_end = 0  # up to where in the output it was read

    # -- reading -------------------------------------------------------------------------------------

    @property
    def is_read_out(self) -> bool:
        """Whether nothing more will come."""
        return self._source is None and not self._taken_back

    @property
    def is_heard_out(self) -> bool:
        """Whether nothing more will come and all that came was heard."""
        return self._source is None and not self._taken_back and not self.segments

    @property
    def volume_db(self) -> float:
        """The volume that is set; it is reached within `RAMP_SECONDS` of audio."""
        return self._volume_db

    @volume_db.setter
    def volume_db(self, value: float) -> None:
        if not MIN_VOLUME_DB <= value <= MAX_VOLUME_DB:
            raise ValueError(f"volume_db={value}: {MIN_VOLUME_DB:g} to {MAX_VOLUME_DB:g} dB")
        self._volume_db = float(value)
        self._target_gain = 10.0 ** (value / 20)
        self._ramp: tuple[int, float] | None = None  # where in the output it began, and the gain before it

    def read(self, samples: int, output_position: int) -> Pcm:
        """Return (n,) int16, n <= `samples`, which will lie at `output_position`; fewer: no more now, or at all."""
        pcm = self._read_raw(samples)
        n = len(pcm)
        if n:
            self._unheard.append(pcm)
            self.output_end = output_position + n
            last = self.segments[-1] if self.segments else None
            if last is not None and last[0] + last[1] == output_position:
                last[1] += n
            else:
                self.segments.append([output_position, n])
        self.is_starved = n < samples and not self.is_read_out
        if self._gain == 1.0 == self._target_gain:
            return pcm
        if self._gain != self._target_gain and self._ramp is None:
            self._ramp = (output_position, self._gain)
        return self._amplify(pcm)

    def _read_raw(self, samples: int) -> Pcm:
        if not self._taken_back:
            pcm = self._read_source(samples)
            if len(pcm) == samples or self._source is None:
                return pcm
        else:
            pcm = EMPTY
        parts = [pcm]
        missing = samples - len(pcm)
        while missing > 0 and not self.is_read_out:
            if self._taken_back:
                part = self._taken_back.popleft()
                if len(part) > missing:
                    self._taken_back.appendleft(part[missing:])
                    part = part[:missing]
            else:
                ended_passes = self._passes
                part = self._read_source(missing)
                if not len(part) and ended_passes == self._passes:
                    break
            parts.append(part)
            missing -= len(part)
        return np.concatenate(parts) if len(parts) > 1 else pcm

    def _read_source(self, samples: int) -> Pcm:
        """Read the source once; at its end go on to the next pass, or close it."""
        source = self._source
        if source is None:
            return EMPTY
        pcm = source.read(samples)
        self._samples_of_pass += len(pcm)
        if source.has_ended:  # at once, so that a mark behind it goes out with its last sample
            self._end_pass(source)
        return pcm

    def _end_pass(self, source: PcmSource) -> None:
        if source.error is not None:
            self.error = source.error
        elif not self._samples_of_pass:
            self.error = PlaybackError(f"{self.handle.label or 'the source'} holds no audio")
        elif self._passes != 1:
            if source.rewind():
                self._passes -= 1  # from 0, for ever, downwards
                self._samples_of_pass = 0
                return
            self.error = PlaybackError(f"{self.handle.label or 'a live source'} cannot be played again: loop=1")
        self.close_source()

    def _amplify(self, pcm: Pcm) -> Pcm:
        n, ramp = len(pcm), self._ramp_samples
        gains: np.ndarray[tuple[int], np.dtype[np.float32]] | float = self._target_gain
        if self._gain != self._target_gain:
            steps = min(n, ramp)
            end = self._gain + (self._target_gain - self._gain) * steps / ramp
            gains = np.full(n, end, np.float32)
            gains[:steps] = np.linspace(self._gain, end, steps + 1, dtype=np.float32)[1:]
            self._gain = self._target_gain if abs(end - self._target_gain) < 1e-4 else end
        loud: Pcm = np.clip(np.rint(pcm * np.float32(1) * gains), -32768, 32767).astype(np.int16)
        return loud

    # -- what was read and not heard -----------------------------------------------------------------

    def heard_until(self, output_position: int) -> int:
        """Take note that all output before `output_position` was heard; return the samples of it that are ours."""
        heard = 0
        segments = self.segments
        while segments and segments[0][0] < output_position:
            start, n = segments[0]
            part = min(n, output_position - start)
            heard += part
            if part == n:
                segments.popleft()
            else:
                segments[0] = [start + part, n - part]
        if heard:
            self._forget(heard)
        return heard

    def _forget(self, samples: int) -> None:
        while samples:
            first = self._unheard[0]
            if len(first) > samples:
                self._unheard[0] = first[samples:]
                return
            samples -= len(self._unheard.popleft())

    def take_back(self, output_position: int) -> int:
        """Un-read everything at and behind `output_position`; return how many samples will be read again."""
        count = 0
        segments = self.segments
        self.output_end = min(self.output_end, output_position)
        if self._ramp is not None and output_position <= self._ramp[0]:
            self._gain, self._ramp = self._ramp[1], None
        while segments and segments[-1][0] + segments[-1][1] > output_position:
            start, n = segments[-1]
            part = min(n, start + n - output_position)
            count += part
            if part == n:
                segments.pop()
            else:
                segments[-1] = [start, n - part]
        missing = count
        while missing:
            last = self._unheard.pop()
            if len(last) > missing:
                self._unheard.append(last[: len(last) - missing])
                last = last[len(last) - missing :]
            self._taken_back.appendleft(last)
            missing -= len(last)
        return count

    def close_source(self) -> None:
        """Read no more from the source; what was taken back is still read."""
        source, self._source = self._source, None
        if source is not None:
            source.close()

    def give_up(self, error: PlaybackError) -> None:
        """Give nothing any more, and fail with `error` when what the carrier has was heard."""
        self.close_source()
        self._taken_back.clear()
        self.error = error

    def close(self) -> None:
        """Give nothing any more, and forget what was given."""
        self.close_source()
        self._taken_back.clear()
        self._unheard.clear()
        self.segments.clear()
