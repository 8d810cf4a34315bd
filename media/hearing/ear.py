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
from media.hearing.words import Word, WordRuns
from strep.clock import NS_PER_MS, NS_PER_SECOND

Heard = Digit | Voice | TalkOver | Tone | Word

DTMF, VOICE, TONES, WORDS = "dtmf", "voice", "tones", "words"
KINDS = (DTMF, VOICE, TONES)
"""What there is to listen for; and words, of tracks that `Ear.attend` names."""
SILENT_NS = 500 * NS_PER_MS
"""Without a block for so long, what went on in a track has ended: packets have stopped, nobody knows until when."""
_LOOK_EVERY_NS = 100 * NS_PER_MS
_NOWHERE, _NEVER_NS = np.iinfo(np.int64).min, np.iinfo(np.int64).max
_TRACK = np.dtype(
    [
        ("begin", "i8"),  # where its audio began, since the last interruption
        ("position", "i8"),  # where its next block is due
        ("heard_ns", "i8"),  # when the last one came; never, once what went on is ended for that
        ("last_ns", "i8"),  # when the last one came
    ]
)


class Ear:
    """Listens to tracks, which are told apart by call and channel and live until `forget`.

    ::

        ear = Ear({"dtmf", "voice"})
        for heard in ear.receive(batch):
            print(heard)

    A track whose audio does not follow on what came before - an interruption, a stretch that was skipped - begins
    anew there: what went on before it has ended. What goes on when blocks stop coming is ended by `poll`, or a tick.
    """

    def __init__(self, kinds: Collection[str] = KINDS, sample_rate_hz: int = 8000) -> None:
        """Listen for `kinds`, of `KINDS` and `WORDS`, in batches of one rate, which is a multiple of 8 kHz."""
        self.sample_rate_hz = sample_rate_hz
        self._spectrum = Spectrum(FREQUENCIES_HZ, sample_rate_hz) if DTMF in kinds else None
        self._dtmf = DtmfRuns(sample_rate_hz)
        self._tells_voices = VOICE in kinds
        self._words = WordRuns(sample_rate_hz) if WORDS in kinds else None
        self._voice = VoiceActivity(sample_rate_hz) if self._tells_voices or self._words is not None else None
        self._tones = ToneRuns(sample_rate_hz) if TONES in kinds else None
        self._tracks = Columns(np.array([(_NOWHERE, _NOWHERE, _NEVER_NS, _NEVER_NS)], _TRACK))
        self._next_look_ns = 0

    def receive(self, batch: PcmBatch) -> list[Heard]:
        """Hear the blocks of a tick, and `poll`; return what began or ended, by kinds. Late ones are not heard.

        Raises:
            ValueError: blocks that are no whole number of 20 ms.
        """
        found: list[Heard] = []
        if batch.late:
            return found
        self._reach(int(batch.call.max(initial=0)))
        for rows in rows_of(batch):
            found += self._follow(rows, batch.now_ns)
            found += self._hear(rows)
        return found + self.poll(batch.now_ns)

    def poll(self, now_ns: int) -> list[Heard]:
        """Return what has ended because nothing more came, see `SILENT_NS`."""
        if now_ns < self._next_look_ns:
            return []
        self._next_look_ns = now_ns + _LOOK_EVERY_NS
        heard_ns = self._tracks.table["heard_ns"]
        silent = np.flatnonzero(heard_ns < now_ns - SILENT_NS)
        heard_ns[silent] = _NEVER_NS
        return self._end(silent) if len(silent) else []

    def forget(self, call: int) -> list[Heard]:
        """Return what ends with a call that is over, and forget it: its number may be another's next."""
        self._reach(call)
        key = np.arange(call * CHANNELS, (call + 1) * CHANNELS)
        found = self._end(key)
        self._tracks.reset(key)
        for track in key.tolist():
            self.neglect(track)
        return found

    def attend(self, key: int, min_word_ms: int, gap_ms: int, min_level: float) -> None:
        """Listen for the words of one track, too; see `media.hearing.words.WordRuns.attend`.

        Raises:
            ValueError: this ear has none for words.
        """
        if self._words is None:
            raise ValueError("this ear does not listen for words")
        self._reach(key // CHANNELS)
        self._words.attend(key, min_word_ms, gap_ms, min_level)

    def neglect(self, key: int) -> None:
        """Listen for the words of a track no more."""
        if self._words is not None:
            self._words.neglect(key)

    def positions(self, key: Int64, now_ns: int) -> Int64:
        """Return (n,) int64, how far tracks were heard, in samples, by the clock where nothing comes; < 0: never."""
        self._reach(int(key.max(initial=0)) // CHANNELS)
        position, last_ns = self._tracks.table["position"][key], self._tracks.table["last_ns"][key]
        silent_ns = np.where(last_ns < now_ns - SILENT_NS, now_ns - last_ns, 0)
        return np.where(position == _NOWHERE, -1, position + silent_ns * self.sample_rate_hz // NS_PER_SECOND)

    def start(self, key: int) -> int:
        """Return where the audio of a track began that was heard, since its last interruption, in samples."""
        return int(self._tracks.table["begin"][key])

    def tone_now(self, key: int) -> Tone | None:
        """Return the tone that goes on in a track, of no kind yet."""
        return self._tones.going_on(key) if self._tones is not None else None

    def _reach(self, call: int) -> None:
        for part in (self._spectrum, self._dtmf, self._voice, self._words, self._tones, self._tracks):
            if part is not None:
                part.reach(call * CHANNELS + CHANNELS - 1)

    def _follow(self, rows: Rows, now_ns: int) -> list[Heard]:
        """Let tracks begin that are new or were interrupted."""
        expected = self._tracks.table["position"]
        broken = expected[rows.key] != rows.begin
        expected[rows.key], self._tracks.table["heard_ns"][rows.key] = rows.end, now_ns
        self._tracks.table["last_ns"][rows.key] = now_ns
        if not broken.any():
            return []
        key = rows.key[broken]
        found = self._end(key)
        self._tracks.table["begin"][key] = rows.begin[broken]
        if self._voice is not None:
            self._voice.begin(key, rows.begin[broken])
        return found

    def _end(self, key: Int64) -> list[Heard]:
        found: list[Heard] = [*self._dtmf.end(key)]
        if self._spectrum is not None:
            self._spectrum.reset(key)
        if self._voice is not None:
            found += self._told(self._voice.end(key))
        if self._words is not None:
            found += self._words.end(key)
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
            found += self._told(self._voice.receive(rows, energy, is_digit))
            if self._words is not None:
                found += self._words.receive(rows, self._voice.voiced, self._voice.known, self._voice.power)
        if self._tones is not None:
            found += self._tones.receive(rows, energy)
        return found

    def _told(self, voices: list[Voice | TalkOver]) -> list[Voice | TalkOver]:
        return voices if self._tells_voices else []
