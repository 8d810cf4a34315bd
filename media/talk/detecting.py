"""`Detector`: waits for one thing that can be heard in a call, for some time. Sans-I/O.

==========  ====================================================================  =======================
kind        what                                                                  heard by ``--detect``
==========  ====================================================================  =======================
``digit``   a key, of ``digits``                                                  dtmf
``fax``     CNG or CED, or ``tone`` of these                                      tones
``beep``    what may be an answering machine's                                    tones
``speech``  somebody begins to speak                                              voice
``silence`` nobody has spoken for ``silence_ms``                                  voice
==========  ====================================================================  =======================
"""

from __future__ import annotations

from dataclasses import dataclass

from media.events.detections import TrackSilent
from media.events.kinds import DigitPressed, Event, SpeechEnded, SpeechStarted, ToneHeard
from media.hearing.ear import DTMF, TONES, VOICE
from media.hearing.rows import FRAME_MS
from media.hearing.voice import HANGOVER_FRAMES
from media.talk.gathering import KEYS
from strep.clock import NEVER_NS, NS_PER_MS

HEARD_BY = {"digit": DTMF, "fax": TONES, "beep": TONES, "speech": VOICE, "silence": VOICE}
FAX_TONES = ("CNG", "CED")
HANGOVER_NS = HANGOVER_FRAMES * FRAME_MS * NS_PER_MS
"""So long after its end the end of speech is known."""
MAX_MS = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorRules:
    """What is waited for.

    Attributes:
        kind: of the table above.
        track: "inbound" or "outbound".
        timeout_ms: how long; SignalWire's ``detect`` has 30 s.
        digits: of the kind digit.
        tone: of the kind fax: "CNG", "CED", or "" for both.
        silence_ms: of the kind silence.
    """

    kind: str
    track: str = "inbound"
    timeout_ms: int = 30_000
    digits: str = KEYS
    tone: str = ""
    silence_ms: int = 5000

    def __post_init__(self) -> None:
        """Check them.

        Raises:
            ValueError: which one is none, and what it may be.
        """
        if self.kind not in HEARD_BY:
            raise ValueError(f"kind={self.kind!r}: {', '.join(HEARD_BY)}; for machines there is detect_machine()")
        if self.track not in ("inbound", "outbound"):
            raise ValueError(f"track={self.track!r}: inbound or outbound")
        if not self.digits or any(key not in KEYS for key in self.digits):
            raise ValueError(f"digits={self.digits!r}: it is made of {KEYS}")
        if self.tone not in ("", *FAX_TONES):
            raise ValueError(f"tone={self.tone!r}: CNG, CED, or nothing for both")
        for name in ("timeout_ms", "silence_ms"):
            if not 1 <= getattr(self, name) <= MAX_MS:
                raise ValueError(f"{name}={getattr(self, name)}: 1 to {MAX_MS} ms")


class Detector:
    """One detection.

    Attributes:
        found: what was waited for; None when it did not come in time.
        is_over: it was found, or will not be.
    """

    def __init__(self, rules: DetectorRules, now_ns: int, *, speaks: bool = False) -> None:
        """Begin; `speaks` says whether somebody is known to be speaking on the track."""
        self.rules = rules
        self.found: Event | None = None
        self.is_over = False
        self._end_ns = now_ns + rules.timeout_ms * NS_PER_MS
        self._silent_ns = NEVER_NS
        if not speaks:
            self._fall_silent(now_ns)

    def _fall_silent(self, since_ns: int) -> None:
        if self.rules.kind == "silence":
            self._silent_ns = since_ns + self.rules.silence_ms * NS_PER_MS

    def receive(self, event: Event, now_ns: int) -> None:
        """Take what was heard in the call."""
        self.poll(now_ns)
        if self.is_over or event.track not in ("", self.rules.track):
            return
        if isinstance(event, SpeechStarted):
            self._silent_ns = NEVER_NS
        elif isinstance(event, SpeechEnded):
            self._fall_silent(now_ns - HANGOVER_NS)
        if self._is_wanted(event):
            self._end(event)

    def _is_wanted(self, event: Event) -> bool:
        rules = self.rules
        match rules.kind:
            case "digit":
                return isinstance(event, DigitPressed) and event.digit in rules.digits
            case "fax":
                tones = [rules.tone.lower()] if rules.tone else ["cng", "ced"]
                return isinstance(event, ToneHeard) and event.kind in tones
            case "beep":
                return isinstance(event, ToneHeard) and event.kind == "beep"
            case "speech":
                return isinstance(event, SpeechStarted)
        return False

    def poll(self, now_ns: int) -> None:
        """Find silence, or give up."""
        if self.deadline() > now_ns:
            return
        is_silent = self._silent_ns <= self._end_ns
        self._end(TrackSilent(track=self.rules.track, duration_ms=self.rules.silence_ms) if is_silent else None)

    def deadline(self) -> int:
        """Return when `poll` is due, in ns."""
        return NEVER_NS if self.is_over else min(self._silent_ns, self._end_ns)

    def give_up(self) -> None:
        """Wait no more."""
        self._end(None)

    def _end(self, found: Event | None) -> None:
        if not self.is_over:
            self.found, self.is_over = found, True
