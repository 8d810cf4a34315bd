"""`Stream`: one track that is transcribed, what waits of it, and what is known of what was given. Sans-I/O.

What `Pool` returns of it are outcomes, in samples of the call's timeline.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from media.sinks.contract import CallInfo
from media.transcribing.contract import Pcm, Result
from media.transcribing.places import Places


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word and where it lies on the call's timeline; the end is exclusive."""

    word: str
    start_samples: int
    end_samples: int
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Transcribed:
    """What somebody said.

    Attributes:
        stream: who.
        start_samples, end_samples: of the first word and the last, or of what the text is of.
        text, is_final, confidence: see `media.transcribing.contract.Result`.
        words: of the text, if the engine says where they are.
    """

    stream: Stream
    start_samples: int
    end_samples: int
    text: str
    is_final: bool
    confidence: float | None
    words: tuple[SpokenWord, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """Speech of which there is no text, and why."""

    stream: Stream
    start_samples: int
    end_samples: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing follows of a stream."""

    stream: Stream


Outcome = Transcribed | Missing | Ended


@dataclass(frozen=True, slots=True)
class Item:
    """Something that waits for the engine: speech, or its end where `pcm` is None.

    Attributes:
        position_samples: where the speech begins, or where it ended.
        put_ns: since when it waits.
    """

    position_samples: int
    pcm: Pcm | None
    put_ns: int

    @property
    def length_samples(self) -> int:
        """Of the speech."""
        return 0 if self.pcm is None else len(self.pcm)


@dataclass(eq=False, slots=True)
class Stream:
    """One track of one call.

    Attributes:
        number: unique in the process.
        call, track: whose; "inbound" or "outbound".
        engine: the name of what listens, for events.
        wants_partials: whether results that are not final are of interest.
        slot: index of the worker that it was assigned to.
        waiting: what the worker was not given yet; `waiting_samples` of it are speech.
        places: of what the recognizer was given; None before the first.
        pending_from: where the speech begins that was given, and is not in a final result; None if there is none.
        unanswered: items that were given and are not done.
        is_settled: the recognizer has said all that it has to say.
        missing: speech that is missing and has not been told of, (from, to, why).
        closing_until_ns: nothing follows; by when the last must have been said.
        failures: of its recognizers, in a row; the next may begin at `retry_ns`.
        strikes: workers in a row that hung or died with it.
        is_given_up: it is not transcribed any more.
        last_partial: to tell nothing twice.
    """

    number: int
    call: CallInfo
    track: str
    engine: str
    wants_partials: bool = True
    slot: int = 0
    waiting: deque[Item] = field(default_factory=deque)
    waiting_samples: int = 0
    places: Places | None = None
    pending_from: int | None = None
    unanswered: int = 0
    is_settled: bool = True
    missing: tuple[int, int, str] | None = None
    closing_until_ns: int | None = None
    failures: int = 0
    retry_ns: int = 0
    strikes: int = 0
    is_given_up: bool = False
    last_partial: str = ""

    @property
    def rate_hz(self) -> int:
        """Of the call."""
        return self.call.sample_rate_hz

    @property
    def first_open_samples(self) -> int | None:
        """Where the first speech lies of which nothing final is known yet; None if there is none."""
        if self.pending_from is not None:
            return self.pending_from
        return self.waiting[0].position_samples if self.waiting else None

    @property
    def end_samples(self) -> int:
        """Where that ends which was given; 0 if nothing was."""
        return self.places.end_samples if self.places is not None else 0

    def take(self, item: Item) -> None:
        """Let something wait."""
        self.waiting.append(item)
        self.waiting_samples += item.length_samples

    def next(self) -> Item:
        """Return what waits longest, which waits no more."""
        item = self.waiting.popleft()
        self.waiting_samples -= item.length_samples
        return item

    def miss(self, start: int, end: int, reason: str) -> list[Missing]:
        """Take note that there will be no text of some speech; return what was noted before and is not next to it."""
        known = self.missing
        if known is not None and known[2] == reason and start <= known[1] + self.rate_hz:
            self.missing = (min(known[0], start), max(known[1], end), reason)
            return []
        told = self.tell_missing()
        self.missing = (start, end, reason)
        return told

    def tell_missing(self) -> list[Missing]:
        """Return what is missing and was not told yet."""
        known, self.missing = self.missing, None
        return [] if known is None else [Missing(self, *known)]

    def lose_given(self, reason: str) -> list[Missing]:
        """Take note that what was given and is not final is lost with its recognizer."""
        begin, places = self.pending_from, self.places
        self.pending_from, self.places, self.is_settled, self.last_partial = None, None, True, ""
        if begin is None or places is None:
            return []
        return self.miss(begin, places.end_samples, reason)

    def place(self, result: Result) -> Transcribed | None:
        """Return a result on the call's timeline; None if it says nothing new."""
        places = self.places
        if places is None or (not result.text and not result.is_final):
            return None
        words = tuple(
            SpokenWord(w.word, places.begin_of(w.start_samples), places.end_of(w.end_samples), w.confidence)
            for w in result.words
        )
        begin = words[0].start_samples if words else self.pending_from
        end = words[-1].end_samples if words else places.end_samples
        if result.is_final:
            self._settle_until(result, end)
        if not result.text or (not result.is_final and (not self.wants_partials or result.text == self.last_partial)):
            return None
        self.last_partial = "" if result.is_final else result.text
        start = end if begin is None else min(begin, end)
        return Transcribed(self, start, end, result.text, result.is_final, result.confidence, words)

    def _settle_until(self, result: Result, end: int) -> None:
        """Nothing before the end of a final result is awaited any more."""
        self.failures = self.strikes = 0
        assert self.places is not None
        if result.words:
            self.places.forget_before(result.words[-1].end_samples)
        self.pending_from = end if result.words and end < self.places.end_samples else None
