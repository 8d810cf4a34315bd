"""`Ear`: hears everything that there is to hear in the calls of one sample rate."""

from __future__ import annotations

import numpy as np

from media.blocks import PcmBatch
from media.hearing.columns import Columns
from media.hearing.dtmf import FREQUENCIES_HZ, Digit, DtmfRuns
from media.hearing.rows import CHANNELS, rows_of
from media.hearing.spectrum import Spectrum

NOWHERE = np.iinfo(np.int64).min


class Ear:
    """Tracks are told apart by call and channel, and forgotten by `forget`."""

    def __init__(self, sample_rate_hz: int = 8000) -> None:
        self.sample_rate_hz = sample_rate_hz
        self._spectrum = Spectrum(FREQUENCIES_HZ, sample_rate_hz)
        self._dtmf = DtmfRuns(sample_rate_hz)
        self._next = Columns(np.array([(NOWHERE,)], [("position", "i8")]))

    def receive(self, batch: PcmBatch) -> list[Digit]:
        """Hear the blocks of a tick; return what ended with it."""
        found: list[Digit] = []
        if batch.late or not len(batch):
            return found
        top = int(batch.call.max()) * CHANNELS + CHANNELS - 1
        for part in (self._spectrum, self._dtmf, self._next):
            part.reach(top)
        for rows in rows_of(batch):
            expected = self._next.table["position"]
            broken = rows.key[expected[rows.key] != rows.begin]
            if len(broken):
                found += self._dtmf.end(broken)
                self._spectrum.reset(broken)
            expected[rows.key] = rows.end
            energy = np.einsum("nkh,nkh->nk", rows.audio, rows.audio)
            windows = self._spectrum.receive(rows, energy, self._dtmf.running(rows.key))
            digits, _ = self._dtmf.receive(rows, windows)
            found += digits
        return found

    def forget(self, call: int) -> list[Digit]:
        """Return what went on in a call that is over, and forget it: its number may be another's next."""
        key = np.arange(call * CHANNELS, (call + 1) * CHANNELS)
        key = key[key < len(self._next.table)]
        found = self._dtmf.end(key)
        self._spectrum.reset(key)
        self._next.reset(key)
        return found
