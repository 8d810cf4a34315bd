"""`Incoming`: what a carrier's webhooks say of legs, once their signature is good.

Telnyx posts an event until it is answered with 2xx: again, late, and out of order. So of each leg the newest event
counts, by ``occurred_at``: a ``call.fork.started`` that comes, or is played back by somebody, after its
``call.fork.stopped`` announces nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from media.admission.desk import leg_of
from media.webhooks.ended import EndedLegs
from media.webhooks.signing import Verifier
from strep.clock import NS_PER_SECOND

MAX_BODY_BYTES = 64 << 10
"""Telnyx's are about 1 KiB."""
MOST_LEGS = 100_000
"""Whose last event is remembered."""
_NEVER = -(1 << 63)
STARTED, STOPPED, HANGUP = "call.fork.started", "call.fork.stopped", "call.hangup"
OUTCOMES = (
    *("announced", "withdrawn", "other", "repeated", "outdated", "failed"),
    *("unsigned", "bad_timestamp", "stale", "bad_signature", "malformed", "too_large", "too_slow"),
)
"""What may become of a request; each is counted."""
_MESSAGES = {
    "unsigned": (401, "the headers telnyx-signature-ed25519 and telnyx-timestamp are missing"),
    "bad_timestamp": (403, "telnyx-timestamp is not a number of seconds"),
    "stale": (403, "telnyx-timestamp is more than 5 minutes from this server's clock"),
    "bad_signature": (403, "the signature is not of this body and timestamp by a key of --telnyx-public-key"),
}


class _Data(msgspec.Struct):
    event_type: str
    id: str = ""
    occurred_at: str = ""
    payload: msgspec.Raw = msgspec.Raw(b"{}")


class _Envelope(msgspec.Struct):
    data: _Data


class _Payload(msgspec.Struct):
    call_leg_id: str


@dataclass(frozen=True, slots=True)
class Notice:
    """An event of a leg that is to be acted on; `Incoming.done` when that has been done.

    Attributes:
        leg: whose.
        is_announced: it may begin; else it may no more.
        event_id, occurred_ns: of the event.
    """

    leg: UUID
    is_announced: bool
    event_id: str
    occurred_ns: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """The answer to a request.

    Attributes:
        status: of HTTP.
        outcome: one of `OUTCOMES`.
        message: for whoever asked.
        notice: to be acted on before it is answered.
    """

    status: int
    outcome: str
    message: str = ""
    notice: Notice | None = None


class Incoming:
    """Judges and counts.

    Attributes:
        counts: by outcome.
    """

    def __init__(self, verifier: Verifier, ended: EndedLegs | None = None) -> None:
        """Believe what `verifier` does not deny; `ended` knows what the process before did."""
        self.counts = dict.fromkeys(OUTCOMES, 0)
        self._verifier = verifier
        self._ended = ended
        # By leg: when its last event occurred, whether that was its end, and the event's id.
        self._last: OrderedDict[UUID, tuple[int, bool, str]] = OrderedDict()

    def judge(self, signature: str, timestamp: str, body: bytes, wall_ns: int) -> Judgement:
        """Judge a request with the values of its two headers; raises nothing, whatever is in them."""
        denial = self._verifier.denial(signature, timestamp, body, wall_ns / NS_PER_SECOND)
        if denial:
            return self._counted(Judgement(_MESSAGES[denial][0], denial, _MESSAGES[denial][1]))
        try:
            data = msgspec.json.decode(body, type=_Envelope).data
            if data.event_type not in (STARTED, STOPPED, HANGUP):
                return self._counted(Judgement(200, "other"))
            leg = leg_of(msgspec.json.decode(data.payload, type=_Payload).call_leg_id)
            occurred_ns = _ns_of(data.occurred_at) if data.occurred_at else int(timestamp) * NS_PER_SECOND
        except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
            return self._counted(Judgement(400, "malformed", f"this is no event of Telnyx: {error}"))
        if leg is None:
            return self._counted(Judgement(400, "malformed", "call_leg_id is no UUID"))
        notice = Notice(leg, data.event_type == STARTED, data.id[:100], occurred_ns)
        last_ns, was_end, last_id = self._last_of(leg)
        if (occurred_ns, not notice.is_announced) < (last_ns, was_end):  # of the same time, the end is the last
            return self._counted(Judgement(200, "outdated"))
        if notice.event_id and notice.event_id == last_id:
            return self._counted(Judgement(200, "repeated"))
        return Judgement(200, "announced" if notice.is_announced else "withdrawn", notice=notice)

    def done(self, notice: Notice, wall_ns: int) -> None:
        """Note that a notice has been acted on, in the place of all that was before it."""
        self._keep(notice, wall_ns)
        self.count("announced" if notice.is_announced else "withdrawn")

    def _keep(self, notice: Notice, wall_ns: int) -> None:
        self._last[notice.leg] = notice.occurred_ns, not notice.is_announced, notice.event_id
        if self._ended is not None and not notice.is_announced:
            self._ended.add(notice.leg, notice.occurred_ns, wall_ns // NS_PER_SECOND)
        self._last.move_to_end(notice.leg)
        while len(self._last) > MOST_LEGS:
            self._last.popitem(last=False)

    def taken_back(self, leg: UUID, wall_ns: int) -> None:
        """Note that somebody else has taken a leg back: events from before that come later announce nothing."""
        self._keep(Notice(leg, False, "", wall_ns), wall_ns)

    def count(self, outcome: str) -> None:
        """Count what became of a request that was not judged, or not done."""
        self.counts[outcome] += 1

    def snapshot(self) -> dict[str, Any]:
        """Return counters."""
        return {outcome: count for outcome, count in self.counts.items() if count}

    def _last_of(self, leg: UUID) -> tuple[int, bool, str | None]:
        """Return when the last event of a leg occurred, whether that was its end, and its id."""
        last = self._last.get(leg)
        if last is None and self._ended is not None and (ended_ns := self._ended.find(leg)) is not None:
            return ended_ns, True, None
        return last or (_NEVER, False, None)

    def _counted(self, judgement: Judgement) -> Judgement:
        self.count(judgement.outcome)
        return judgement


def _ns_of(text: str) -> int:
    """Return ns since the epoch of a time in ISO 8601.

    Raises:
        ValueError: it is none.
    """
    at = datetime.fromisoformat(text)
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    whole = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (whole.days * 86_400 + whole.seconds) * NS_PER_SECOND + whole.microseconds * 1000
