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
MAX_GIVEN_S = 60
"""Of speech that can be given again; an engine that makes nothing final for longer loses it with its worker."""


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

    @property
    def end_samples(self) -> int:
        """Where it ends."""
        return self.position_samples + self.length_samples

    def behind(self, position_samples: int) -> Item:
        """Return what of it lies behind a place."""
        passed = position_samples - self.position_samples
        if self.pcm is None or passed <= 0:
            return self
        return Item(position_samples, self.pcm[passed:], self.put_ns)


@dataclass(eq=False, slots=True)
class Stream:
    """One track of one call.

    Attributes:
        number: unique in the process.
        recognizer: the number that its worker knows its recognizer by; another one after a failure.
        call, track: whose; "inbound" or "outbound".
        engine: the name of what listens, for events.
        wants_partials: whether results that are not final are of interest.
        slot: index of the worker that it was assigned to.
        waiting: what the worker was not given yet; `waiting_samples` of it are speech.
        again_samples: speech that was taken back from a worker and waits for the next: more may wait for it.
        given: what the worker was given, and is not in a final result.
        places: of what the recognizer was given; None before the first.
        unanswered: items that were given and are not done.
        is_settled: the recognizer has said all that it has to say.
        answered_pause: the last pause that it answered, while it has not said all of what was before that.
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
    recognizer: int = 0
    slot: int = 0
    waiting: deque[Item] = field(default_factory=deque)
    waiting_samples: int = 0
    again_samples: int = 0
    given: deque[Item] = field(default_factory=deque)
    places: Places | None = None
    unanswered: int = 0
    is_settled: bool = True
    answered_pause: Item | None = None
    missing: tuple[int, int, str] | None = None
    closing_until_ns: int | None = None
    failures: int = 0
    retry_ns: int = 0
    strikes: int = 0
    is_given_up: bool = False
    last_partial: str = ""

    def __post_init__(self) -> None:
        self.recognizer = self.number

    @property
    def rate_hz(self) -> int:
        """Of the call."""
        return self.call.sample_rate_hz

    @property
    def first_open_samples(self) -> int | None:
        """Where the first speech lies of which nothing final is known yet; None if there is none."""
        for items in (self.given, self.waiting):
            if items:
                return items[0].position_samples
        return None

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

    def give(self, item: Item, engine_rate_hz: int) -> None:
        """Take note of what the worker is given; an engine's rate of 0 is the call's."""
        self.given.append(item)
        self.again_samples = max(self.again_samples - item.length_samples, 0)
        while self.given[-1].position_samples - self.given[0].position_samples > MAX_GIVEN_S * self.rate_hz:
            self.given.popleft()
        if item.pcm is None:
            return
        if self.places is None:
            self.places = Places(self.rate_hz, engine_rate_hz or self.rate_hz)
        self.places.give(item.position_samples, len(item.pcm))

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
        speech = [item for item in self.given if item.pcm is not None]
        self._forget_recognizer()
        return self.miss(speech[0].position_samples, speech[-1].end_samples, reason) if speech else []

    def take_back(self) -> None:
        """Let what was given and is not final wait again: its recognizer is gone by no fault of this stream."""
        for item in reversed(self.given):
            self.waiting.appendleft(item)
            self.waiting_samples += item.length_samples
            self.again_samples += item.length_samples
        self._forget_recognizer()

    def _forget_recognizer(self) -> None:
        self.given.clear()
        self.places, self.is_settled, self.answered_pause, self.last_partial = None, True, None, ""

    def place(self, result: Result, item: Item | None) -> Transcribed | None:
        """Return a result on the call's timeline, None if it says nothing new; `item` is what it answers, if any."""
        places = self.places
        if places is None or (not result.text and not result.is_final):
            return None
        words = tuple(
            SpokenWord(w.word, places.begin_of(w.start_samples), places.end_of(w.end_samples), w.confidence)
            for w in result.words
        )
        open_from = self.given[0].position_samples if self.given else places.end_samples
        end = item.end_samples if item is not None else places.end_samples
        if words:
            open_from, end = words[0].start_samples, words[-1].end_samples
        if result.is_final:
            self._settle_words(result, end)
        if not result.text or (not result.is_final and (not self.wants_partials or result.text == self.last_partial)):
            return None
        self.last_partial = "" if result.is_final else result.text
        return Transcribed(self, min(open_from, end), end, result.text, result.is_final, result.confidence, words)

    def _settle_words(self, result: Result, end: int) -> None:
        """Nothing before the last word of a final result is awaited any more."""
        self.failures = self.strikes = 0
        if not result.words or self.places is None:
            return
        self.places.forget_before(result.words[-1].end_samples)
        while self.given and self.given[0].end_samples <= end:
            self.given.popleft()
        if self.given:
            self.given[0] = self.given[0].behind(end)

    def settle(self) -> None:
        """Take note that all is said of what came before the pause that was answered last, however much that was."""
        pause, self.answered_pause = self.answered_pause, None
        if any(item is pause for item in self.given):  # else words behind it are final already
            while self.given.popleft() is not pause:
                pass
