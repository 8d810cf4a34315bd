"""`MachineJudge`: is it a person or a machine that answered, and when has the machine's greeting ended? Sans-I/O.

A person says "Hello?" and waits for an answer; a machine has a sentence to say, says it to its end, and may beep. So
the judge counts words and silences, as `media.hearing.words` has them, against thresholds, and knows what the tones
of `media.hearing.tones` mean. There is no model in it and nothing random: the same audio has the same verdict, in
blocks of whatever length, and the reason names the figure that decided.

Before the verdict, whichever comes first::

    nothing is said for `initial_silence_ms`                              silence
    what was said is over for `after_greeting_silence_ms`                 human
    more than `maximum_number_of_words`, a word of more than
      `maximum_word_length_ms`, a greeting of more than
      `greeting_duration_ms`, a beep                                      machine
    a fax answers (CED) or calls (CNG)                                    fax_detected
    none of these for `total_analysis_time_ms`                            not_sure

After "machine", with `detect_message_end`: a beep is its end, or silence for `greeting_silence_duration_ms`.

The names are those of Telnyx' ``answering_machine_detection_config``; `docs/listening.md` has SignalWire's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal, NamedTuple

from media.hearing.rows import FRAME_MS
from media.hearing.tones import CED_HZ, CED_MS, CNG_HZ, MEASURED_HZ, Tone
from media.hearing.words import MIN_WORD_MS, Word

Result = Literal["human", "machine", "fax_detected", "silence", "not_sure"]
End = Literal["ended", "beep_detected", "not_sure"]
MAX_MS = 600_000
MIN_TONE_MS = 100
"""A tone that goes on for so long is waited for, up to the longest CED: what it is, is known at its end."""
TONE_KNOWN_MS = 2 * FRAME_MS
"""Behind its end a tone is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineRules:
    """What tells a machine from a person; all times are to 20 ms.

    Attributes:
        initial_silence_ms: before the first word; with more it is silence.
        after_greeting_silence_ms: with so much behind what was said it was a person.
        greeting_duration_ms: from the beginning of the first word; with more it is a machine.
        between_words_silence_ms: with less between them two words are one.
        minimum_word_length_ms: shorter sounds are no words; 80 or more, for nothing shorter is told from a click.
        maximum_word_length_ms: with a longer one it is a machine.
        maximum_number_of_words: with more it is a machine.
        silence_threshold: level below which all is silence, root mean square of 16-bit PCM; there is a floor that
            adapts to the noise of the line as well.
        total_analysis_time_ms: until the verdict.
        detect_message_end: go on after "machine".
        greeting_silence_duration_ms: with so much the machine's greeting has ended.
        greeting_total_analysis_time_ms: until its end, from the verdict on.
        wait_for_beep: only a beep ends the greeting.
        detect_interruptions: go on after its end, and tell if the machine speaks again.
    """

    initial_silence_ms: int = 3500
    after_greeting_silence_ms: int = 800
    greeting_duration_ms: int = 3500
    between_words_silence_ms: int = 50
    minimum_word_length_ms: int = 100
    maximum_word_length_ms: int = 3500
    maximum_number_of_words: int = 10
    silence_threshold: int = 0
    total_analysis_time_ms: int = 7000
    detect_message_end: bool = True
    greeting_silence_duration_ms: int = 1500
    greeting_total_analysis_time_ms: int = 50_000
    wait_for_beep: bool = False
    detect_interruptions: bool = False

    def __post_init__(self) -> None:
        """Check them.

        Raises:
            ValueError: which one is out of range, and what it may be.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            least = MIN_WORD_MS if field.name == "minimum_word_length_ms" else FRAME_MS
            if field.name.endswith("_ms") and not least <= value <= MAX_MS:
                raise ValueError(f"{field.name}={value}: {least} to {MAX_MS} ms")
        if not 0 <= self.maximum_number_of_words <= 1000:
            raise ValueError(f"maximum_number_of_words={self.maximum_number_of_words}: 0 to 1000")
        if not 0 <= self.silence_threshold <= 32_767:
            raise ValueError(f"silence_threshold={self.silence_threshold}: 0 to 32767")


DEFAULT_RULES = MachineRules()


class Verdict(NamedTuple):
    """Who answered.

    Attributes:
        result: who.
        reason: what decided, with its figure.
        position_samples: where in the call that was certain.
        words: so many were heard until then.
        greeting_samples: from the first word's beginning to the last one's end.
        silence_samples: before the first word.
    """

    result: Result
    reason: str
    position_samples: int
    words: int
    greeting_samples: int
    silence_samples: int


class GreetingEnd(NamedTuple):
    """The machine's greeting has ended: a message may be left."""

    result: End
    reason: str
    position_samples: int


class GreetingResumed(NamedTuple):
    """It has not: the machine speaks again."""

    position_samples: int


Finding = Verdict | GreetingEnd | GreetingResumed
_Due = tuple[int, str, str]  # samples; the result, and the reason, if nothing happens until then


class MachineJudge:
    """One track, from the answer on. Positions are in samples since the call's origin.

    Attributes:
        verdict: once there is one.
        is_over: nothing more will be found.
    """

    def __init__(self, rules: MachineRules, start_samples: int, sample_rate_hz: int) -> None:
        self.rules, self.is_over = rules, False
        self.verdict: Verdict | None = None
        self._start, self._rate_hz = start_samples, sample_rate_hz
        frames = max(rules.minimum_word_length_ms, rules.between_words_silence_ms) // FRAME_MS + 1
        self._lag = self._samples(frames * FRAME_MS)  # behind which it is known what was a word, and what ended one
        self._words, self._speaks = 0, False
        self._first = self._onset = self._quiet_since = start_samples
        self._has_ended = False  # the greeting

    def _samples(self, ms: int) -> int:
        return ms * self._rate_hz // 1000

    def _ms(self, samples: int) -> int:
        return samples * 1000 // self._rate_hz

    # -- the verbs -----------------------------------------------------------------------------------

    def receive(self, heard: Word | Tone) -> Iterator[Finding]:
        """Take what was heard, in order; yield what that decides."""
        if isinstance(heard, Word):
            # Until there nothing else has happened, whatever is known since; it ends behind the threshold it reaches.
            reached = heard.position_samples + self._lag - (not heard.begins)
            yield from self.poll(max(heard.known_samples, reached))
            yield from self._take_word(heard)
        else:
            end = heard.position_samples + heard.length_samples
            yield from self.poll(end + self._samples(TONE_KNOWN_MS), heard)
            yield from self._take_tone(heard, end)

    def poll(self, position_samples: int, tone: Tone | None = None) -> Iterator[Finding]:
        """Yield what is decided by nothing having happened; `tone` goes on there, of whatever kind.

        A tone holds up only what was not decided yet when it began: not all that is due, if `poll` comes late.
        """
        while not self.is_over and self.deadline() <= position_samples:
            due, result, reason = self._next()
            is_before = tone is not None and tone.position_samples < due + self._lag
            if tone is not None and is_before and self._is_waited_for(tone):
                if self.verdict is None and self._is_fax(tone):
                    yield from self._decide("fax_detected", f"{tone.frequency_hz:.0f} Hz, a fax answers", due)
                return
            if self.verdict is None:
                yield from self._decide(result, reason, due)
            else:
                yield from self._end_greeting(result, reason, due)

    def deadline(self) -> int:
        """Return how far the track has to be heard, in samples, before `poll` has something to say."""
        return self._next()[0] + self._lag

    def finish(self, position_samples: int) -> Iterator[Finding]:
        """Yield what can be said at the end of the call."""
        yield from self.poll(position_samples)
        if self.verdict is None:
            said = f"the call ended after {self._ms(position_samples - self._start)} ms"
            yield from self._decide("not_sure", said, position_samples)
        self.is_over = True

    # -- thresholds ----------------------------------------------------------------------------------

    def _next(self) -> _Due:
        return min(self._after() if self.verdict is not None else self._before())

    def _before(self) -> Iterator[_Due]:
        rules = self.rules
        total = f"no verdict within {rules.total_analysis_time_ms} ms"
        yield self._start + self._samples(rules.total_analysis_time_ms), "not_sure", total
        if self._speaks:
            word = f"a word of more than {rules.maximum_word_length_ms} ms"
            yield self._onset + self._samples(rules.maximum_word_length_ms), "machine", word
            greeting = f"a greeting of more than {rules.greeting_duration_ms} ms"
            yield max(self._first + self._samples(rules.greeting_duration_ms), self._onset), "machine", greeting
        elif self._words:
            silence = f"silence for {rules.after_greeting_silence_ms} ms after {self._said()}"
            yield self._quiet_since + self._samples(rules.after_greeting_silence_ms), "human", silence
        else:
            nothing = f"nothing was said for {rules.initial_silence_ms} ms"
            yield self._start + self._samples(rules.initial_silence_ms), "silence", nothing

    def _after(self) -> Iterator[_Due]:
        assert self.verdict is not None
        rules = self.rules
        end = self.verdict.position_samples + self._samples(rules.greeting_total_analysis_time_ms)
        yield end, "not_sure", f"it has not ended for {rules.greeting_total_analysis_time_ms} ms"
        if not (self._speaks or self._has_ended or rules.wait_for_beep):
            silence = f"silence for {rules.greeting_silence_duration_ms} ms"
            yield self._quiet_since + self._samples(rules.greeting_silence_duration_ms), "ended", silence

    def _said(self) -> str:
        words = "1 word" if self._words == 1 else f"{self._words} words"
        return f"{words} in {self._ms(self._quiet_since - self._first)} ms"

    # -- what was heard ------------------------------------------------------------------------------

    def _take_word(self, word: Word) -> Iterator[Finding]:
        if self.is_over:
            return
        self._speaks = word.begins
        if not word.begins:
            self._quiet_since = max(word.position_samples, self._quiet_since)
            return
        self._onset = max(word.position_samples, self._start)
        self._words += 1
        if self._words == 1:
            self._first = self._onset
        rules = self.rules
        if self.verdict is None and self._words > rules.maximum_number_of_words:
            yield from self._decide("machine", f"more than {rules.maximum_number_of_words} words", self._onset)
        elif self._has_ended:
            self._has_ended = False
            yield GreetingResumed(self._onset)

    def _take_tone(self, tone: Tone, end: int) -> Iterator[Finding]:
        if self.is_over or tone.position_samples < self._start:
            return
        is_cng = not self._words and _is_near(tone, CNG_HZ)  # however long: noise may have cut it
        is_fax = tone.kind == "ced" or is_cng
        sound = f"{tone.frequency_hz:.0f} Hz for {self._ms(tone.length_samples)} ms"
        if is_fax and self.verdict is None:
            yield from self._decide("fax_detected", f"{sound}, {'CNG' if is_cng else 'CED'}", end)
        elif not is_fax:
            if self.verdict is None:
                yield from self._decide("machine", f"a beep, {sound}", end)
            yield from self._end_greeting("beep_detected", f"a beep, {sound}", end)

    def _is_waited_for(self, tone: Tone) -> bool:
        return MIN_TONE_MS <= self._ms(tone.length_samples) <= CED_MS[1]

    def _is_fax(self, tone: Tone) -> bool:
        return _is_near(tone, CED_HZ) and self._ms(tone.length_samples) >= CED_MS[0]

    # -- findings ------------------------------------------------------------------------------------

    def _decide(self, result: str, reason: str, position: int) -> Iterator[Finding]:
        spoken = max((position if self._speaks else self._quiet_since) - self._first, 0) if self._words else 0
        silence = (self._first if self._words else position) - self._start
        verdict = Verdict(result, reason, position, self._words, spoken, max(silence, 0))  # type: ignore[arg-type]
        self.verdict = verdict
        self.is_over = result != "machine" or not self.rules.detect_message_end
        yield verdict

    def _end_greeting(self, result: str, reason: str, position: int) -> Iterator[Finding]:
        if self.is_over:
            return
        self.is_over = result != "ended" or not self.rules.detect_interruptions
        is_told = self._has_ended and result == "not_sure"
        self._has_ended = True
        if not is_told:
            yield GreetingEnd(result, reason, position)  # type: ignore[arg-type]


def _is_near(tone: Tone, wanted: tuple[int, int]) -> bool:
    hz, tolerance_hz = wanted
    return abs(tone.frequency_hz - hz) <= tolerance_hz + MEASURED_HZ
