"""`Ear`: hears everything that there is to hear in the calls of one sample rate. Sans-I/O."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from media.blocks import PcmBatch
from media.hearing.columns import Columns
from media.hearing.dtmf import DtmfRuns
from media.hearing.rows import CHANNELS, Int64, Rows, rows_of
from media.hearing.spectrum import Spectrum
from media.hearing.tones import Tone, ToneRuns
from media.hearing.verdict import FREQUENCIES_HZ, Digit
from media.hearing.voice import TalkOver, Voice, VoiceActivity

Heard = Digit | Voice | TalkOver | Tone

DTMF, VOICE, TONES = "dtmf", "voice", "tones"
KINDS = (DTMF, VOICE, TONES)
"""What there is to listen for."""
_NOWHERE = np.iinfo(np.int64).min


class Ear:
    """Listens to tracks, which are told apart by call and channel and live until `forget`.

    ::

        ear = Ear({"dtmf", "voice"})
        for heard in ear.receive(batch):
            print(heard)

    A track whose audio does not follow on what came before - an interruption, a stretch that was skipped - begins
    anew there: what went on before it has ended.
    """

    def __init__(self, kinds: Collection[str] = KINDS, sample_rate_hz: int = 8000) -> None:
        """Listen for `kinds`, of `KINDS`, in batches of one rate, which is a multiple of 8 kHz."""
        self.sample_rate_hz = sample_rate_hz
        self._spectrum = Spectrum(FREQUENCIES_HZ, sample_rate_hz) if DTMF in kinds else None
        self._dtmf = DtmfRuns(sample_rate_hz)
        self._voice = VoiceActivity(sample_rate_hz) if VOICE in kinds else None
        self._tones = ToneRuns(sample_rate_hz) if TONES in kinds else None
        self._next = Columns(np.array([(_NOWHERE,)], [("position", "i8")]))

    def receive(self, batch: PcmBatch) -> list[Heard]:
        """Hear the blocks of a tick; return what began or ended in them, by kinds. Late ones are not heard.

        Raises:
            ValueError: blocks that are no whole number of 20 ms.
        """
        found: list[Heard] = []
        if batch.late or not len(batch):
            return found
        self._reach(int(batch.call.max()))
        for rows in rows_of(batch):
            found += self._follow(rows)
            found += self._hear(rows)
        return found

    def forget(self, call: int) -> list[Heard]:
        """Return what ends with a call that is over, and forget it: its number may be another's next."""
        self._reach(call)
        key = np.arange(call * CHANNELS, (call + 1) * CHANNELS)
        found = self._end(key)
        self._next.reset(key)
        return found

    def _reach(self, call: int) -> None:
        for part in (self._spectrum, self._dtmf, self._voice, self._tones, self._next):
            if part is not None:
                part.reach(call * CHANNELS + CHANNELS - 1)

    def _follow(self, rows: Rows) -> list[Heard]:
        """Let tracks begin that are new or were interrupted."""
        expected = self._next.table["position"]
        broken = expected[rows.key] != rows.begin
        expected[rows.key] = rows.end
        if not broken.any():
            return []
        key = rows.key[broken]
        found = self._end(key)
        if self._voice is not None:
            self._voice.begin(key, rows.begin[broken])
        return found

    def _end(self, key: Int64) -> list[Heard]:
        found: list[Heard] = [*self._dtmf.end(key)]
        if self._spectrum is not None:
            self._spectrum.reset(key)
        if self._voice is not None:
            found += self._voice.end(key)
        if self._tones is not None:
            found += self._tones.end(key)
        return found

    def _hear(self, rows: Rows) -> list[Heard]:
        found: list[Heard] = []
        energy = np.einsum("nkh,nkh->nk", rows.audio, rows.audio)
        is_digit = np.zeros(energy.shape, np.bool_)
        if self._spectrum is not None:
            windows = self._spectrum.receive(rows, energy, self._dtmf.running(rows.key))
            digits, hit = self._dtmf.receive(rows, windows)
            is_digit[windows.row] = hit
            found += digits
        if self._voice is not None:
            found += self._voice.receive(rows, energy, is_digit)
        if self._tones is not None:
            found += self._tones.receive(rows, energy)
        return found
