"""`Event`, and the kinds of it that are heard in the audio; their names in JSON are those of the class's `NAME`."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, Self

Source = Literal["inband", "rfc4733", "ws"]
"""How a digit came: as tones, as telephone-event packets, or as a frame of a media stream."""
WITHHELD = "?"
"""What stands for a digit that was pressed while recording was paused."""
_SAMPLES = "_samples"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in a call; in which one, and when it was told, says `media.events.bus.Told`.

    Attributes:
        track: "inbound" or "outbound"; "" if it is of both, or nobody said.
        position_samples: where it begins, since the call's origin; None if nobody knows.
    """

    NAME: ClassVar[str] = ""
    PRIVATE: ClassVar[tuple[str, ...]] = ()
    """Fields, text, that nobody may keep of what happens while the call's recording is paused."""

    track: str = ""
    position_samples: int | None = None

    def without_private(self) -> Self:
        """Return the event with every character of its `PRIVATE` fields `WITHHELD`."""
        withheld: dict[str, Any] = {name: WITHHELD * len(getattr(self, name)) for name in self.PRIVATE}
        return replace(self, **withheld)

    def to_json(self, sample_rate_hz: int) -> dict[str, Any]:
        """Return JSON values, in milliseconds for samples at the call's rate; what is unknown is left out."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        said = {name: value for name, value in values if value not in (None, "")}
        for name in [name for name in said if name.endswith(_SAMPLES)]:
            said[name.removesuffix(_SAMPLES) + "_ms"] = round(said.pop(name) * 1000 / sample_rate_hz)
        return said


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitPressed(Event):
    """A key, reported once, whichever ways it came.

    Attributes:
        digit: 0-9, *, #, A-D.
        source: how it came, of several ways the first.
        duration_samples: how long it was held; None if nobody said.
        level_dbm0, twist_db: of its tones, see `media.hearing.verdict.Digit`.
    """

    NAME: ClassVar[str] = "dtmf"
    PRIVATE: ClassVar[tuple[str, ...]] = ("digit",)

    digit: str
    source: Source
    duration_samples: int | None = None
    level_dbm0: float | None = None
    twist_db: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStarted(Event):
    """Somebody begins to speak.

    Attributes:
        silence_samples: how long the track was silent before.
    """

    NAME: ClassVar[str] = "speech_started"

    silence_samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechEnded(Event):
    """Somebody stopped speaking; known 300 ms later. The position is the end.

    Attributes:
        duration_samples: of the speech.
    """

    NAME: ClassVar[str] = "speech_ended"

    duration_samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TalkedOver(Event):
    """Both sides spoke at once; the track is that which stopped first.

    Attributes:
        duration_samples: for how long.
    """

    NAME: ClassVar[str] = "talk_over"

    duration_samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ToneHeard(Event):
    """A single steady tone.

    Attributes:
        kind: see `media.hearing.tones.Tone`.
        frequency_hz: of it.
        duration_samples: of it, to 20 ms.
    """

    NAME: ClassVar[str] = "tone"

    kind: str
    frequency_hz: float
    duration_samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioDropped(Event):
    """The listener was too slow for a part of the call, of which nothing is known; told when the call ends.

    Attributes:
        blocks: so many were dropped.
        duration_samples: of them, summed over both tracks.
    """

    NAME: ClassVar[str] = "sink_dropped"

    blocks: int
    duration_samples: int
