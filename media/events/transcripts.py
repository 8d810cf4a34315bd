"""What is said in calls, as engines of `media.transcribing` have it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from media.events.kinds import Event


@dataclass(frozen=True, slots=True)
class TranscribedWord:
    """A word.

    Attributes:
        word: its text.
        start_samples, end_samples: where it lies on the call's timeline; the end is exclusive.
        confidence: 0 to 1; None if the engine does not say.
    """

    word: str
    start_samples: int
    end_samples: int
    confidence: float | None = None

    def to_json(self, sample_rate_hz: int) -> dict[str, Any]:
        """Return JSON values, in milliseconds."""
        start, end = (round(at * 1000 / sample_rate_hz) for at in (self.start_samples, self.end_samples))
        sure = {} if self.confidence is None else {"confidence": round(self.confidence, 3)}
        return {"word": self.word, "start_ms": start, "end_ms": end, **sure}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcription(Event):
    """Somebody said something.

    Attributes:
        text: what.
        is_final: it will not change any more; a partial one replaces the partial before it, of the same track.
        duration_samples: from the position to the end of the last word.
        engine: whose opinion it is.
        confidence: 0 to 1; None if the engine does not say.
        words: of the text, if the engine says where they are.
    """

    NAME: ClassVar[str] = "transcription"

    text: str
    is_final: bool
    duration_samples: int
    engine: str
    confidence: float | None = None
    words: tuple[TranscribedWord, ...] = ()

    def to_json(self, sample_rate_hz: int) -> dict[str, Any]:
        """Return JSON values; see `Event.to_json`."""
        said = super(Transcription, self).to_json(sample_rate_hz)  # slots make another class of it: no bare super()
        if self.confidence is not None:
            said["confidence"] = round(self.confidence, 3)
        said["words"] = [word.to_json(sample_rate_hz) for word in self.words]
        return said


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionMissing(Event):
    """Somebody spoke, and there is no text of it: the engine was too slow, hung, or failed.

    Attributes:
        duration_samples: of what is missing.
        reason: why.
        engine: whose text it would have been.
    """

    NAME: ClassVar[str] = "transcription_missing"

    duration_samples: int
    reason: str
    engine: str
