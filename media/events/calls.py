"""What happens to a call itself, and what its carrier says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from media.events.kinds import DigitPressed, Event

if TYPE_CHECKING:
    from media.sinks.contract import CallReport

TRACKS = ("inbound", "outbound")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallBegan(Event):
    """The first packet or frame of a call came.

    Attributes:
        door: "strep", "rtp" or "ws".
        identity: what the carrier said of it: call_leg_id, stream_id, from, to, ...
    """

    NAME: ClassVar[str] = "call_started"

    door: str
    identity: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOver(Event):
    """A call has ended; what its sinks make of the last of its audio is told behind this.

    Attributes:
        reason: "stop", "closed", "hang_up", "idle" or "shutdown".
        duration_samples: of its longest track, from the call's origin on.
        note: why there is nothing to hear, if so: "no_media" or "unsupported_payload".
        quality: what the network did to it, see `media.quality.document.NETWORK_FIGURES`.
        report: all about it, for who is in this process; not in JSON.
    """

    NAME: ClassVar[str] = "call_ended"

    reason: str
    duration_samples: int
    note: str = ""
    quality: dict[str, Any] | None = None
    report: CallReport | None = field(default=None, repr=False, compare=False)

    def to_json(self, sample_rate_hz: int) -> dict[str, Any]:
        """Return JSON values; see `Event.to_json`."""
        said = super(CallOver, self).to_json(sample_rate_hz)  # slots make another class of it: no bare super()
        said.pop("report", None)
        return said


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkReturned(Event):
    """All that was sent before a mark of the application has been played, or was cleared."""

    NAME: ClassVar[str] = "mark"

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierError(Event):
    """The carrier refused what it was sent, by its own code; see "Errors" of Telnyx' media streaming."""

    NAME: ClassVar[str] = "error"

    code: int | str | None = None
    title: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReconnected(Event):
    """A media stream whose socket broke goes on by another one."""

    NAME: ClassVar[str] = "reconnected"


def event_of_carrier(document: dict[str, Any], track: str, sample_rate_hz: int) -> Event | None:
    """Return what a carrier said (see `media.calls.Call.add_event`) as an event; None if it is none of anybody's."""
    position = document.get("position_samples")
    about: dict[str, Any] = {"track": track if track in TRACKS else "", "position_samples": position}
    match document.get("event"):
        case "dtmf":
            return _digit(document, about, sample_rate_hz)
        case "mark":
            return MarkReturned(**about, name=str(document.get("name", "")))
        case "error":
            title, detail = (str(document.get(name) or "") for name in ("title", "detail"))
            return CarrierError(**about, code=document.get("code"), title=title, detail=detail)
        case "reconnected":
            return StreamReconnected(**about)
    return None


def _digit(document: dict[str, Any], about: dict[str, Any], sample_rate_hz: int) -> DigitPressed | None:
    digit, duration_ms = document.get("digit"), document.get("duration_ms")
    if not isinstance(digit, str):
        return None
    duration = round(duration_ms * sample_rate_hz / 1000) if isinstance(duration_ms, int) else None
    if document.get("source") != "rfc4733":
        return DigitPressed(**about, digit=digit, source="ws", duration_samples=duration)
    if about["position_samples"] is not None:
        about["position_samples"] -= duration or 0  # it is told when it is over
    return DigitPressed(**about, digit=digit, source="rfc4733", duration_samples=duration)
