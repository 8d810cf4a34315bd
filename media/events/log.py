"""`CallLog`: a line in the log when a call begins, when it ends, and when its recording is closed.

Nothing private is in it: no number, no digit, no text. Calls may begin and end by the thousand a second, so lines
have a bound; call records (`media.cdr`) have none.
"""

from __future__ import annotations

import logging
from typing import Any

from media.events.bus import EventBus, Told
from media.events.calls import CallBegan, CallOver
from media.events.recordings import RecordingFailed, RecordingSaved
from media.sinks.contract import CallInfo
from strep.clock import NS_PER_SECOND, Clock

_LOG = logging.getLogger("strep.calls")
MAX_LINES = 100
"""In a second; those beyond are counted in the next line."""

_Line = tuple[str, dict[str, Any]]


class CallLog:
    """Says what becomes of calls.

    Attributes:
        left_out: lines, since there were too many.
    """

    name = "call-log"

    def __init__(self, bus: EventBus, clock: Clock) -> None:
        """Subscribe."""
        self.left_out = 0
        self._clock = clock
        self._until_ns = self._lines = self._unsaid = 0
        bus.subscribe(self.take)

    def take(self, told: Told) -> None:
        """Say what happened, if it is one of these things."""
        line = _line(told)
        if line is None:
            return
        now_ns = self._clock.now_ns()
        if now_ns >= self._until_ns:
            self._until_ns, self._lines = now_ns + NS_PER_SECOND, 0
        if self._lines >= MAX_LINES:
            self._unsaid += 1
            self.left_out += 1
            return
        self._lines += 1
        text, said = line
        if self._unsaid:
            said["lines_left_out"], self._unsaid = self._unsaid, 0
        _LOG.info(text, extra=said)

    async def start(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    def snapshot(self) -> dict[str, Any]:
        """Return counters."""
        return {"left_out": self.left_out}


def _line(told: Told) -> _Line | None:
    call, event = told.call, told.event
    said: dict[str, Any] = {"call_id": call.call_id}
    match event:
        case CallBegan():
            return "call began", said | {"door": call.door} | ({"dialect": call.dialect} if call.dialect else {})
        case CallOver():
            return "call ended", said | _figures(call, event)
        case RecordingSaved():
            seconds = round(event.duration_samples / call.sample_rate_hz, 3)
            file = event.path or next((str(one.get("url")) for one in event.files), "")
            return "take saved" if event.is_take else "recording saved", said | {"file": file, "seconds": seconds}
        case RecordingFailed(step=""):  # of the others says who delivers
            return "take failed" if event.is_take else "recording failed", said | {"error": event.error}
    return None


def _figures(call: CallInfo, over: CallOver) -> dict[str, Any]:
    """Return how it ended, and of each track how much of it came."""
    said: dict[str, Any] = {"reason": over.reason, "seconds": round(over.duration_samples / call.sample_rate_hz, 3)}
    if over.note:
        said["note"] = over.note
    for track in over.report.tracks if over.report else ():
        lost, came = int(track.statistics["never_arrived"]), int(track.statistics["received"])
        said[track.direction.name.lower()] = "played" if track.is_played else f"{came} packets, {lost} lost"
    return said
