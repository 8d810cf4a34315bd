"""A stream in memory that stores, refuses, forgets to answer and breaks, as told; the oracle is what it holds."""

from __future__ import annotations

from dataclasses import dataclass, field

from media.nats.answers import STORED, Answer, Last, Refused
from media.nats.message import Message
from media.nats.names import Place, message_id, place_of
from media.nats.outbox import Outbox, Shipment


@dataclass
class ModelStream:
    """What a server does with shipments.

    Attributes:
        window: so many message ids it remembers, the last ones; 0: it has no duplicate window at all.
    """

    window: int = 0
    stored: list[tuple[str, str]] = field(default_factory=list)

    def store(self, shipment: Shipment) -> Answer:
        message = shipment.message
        if shipment.is_question:
            ids = [stored for subject, stored in self.stored if subject == message.subject]
            return Last(place_of(ids[-1]) if ids else None)
        recent = self.stored[-self.window :] if self.window else []
        if (message.subject, message.message_id) not in recent:
            self.stored.append((message.subject, message.message_id))
        return STORED

    def of(self, subject: str) -> list[str]:
        return [stored for of, stored in self.stored if of == subject]


def message(subject: int, number: int, size_bytes: int = 100) -> Message:
    return Message(f"s.{subject}", message_id(f"c{subject}", "inbound", Place(1, number)), bytes(size_bytes))


def drain(outbox: Outbox, stream: ModelStream, now_ns: int) -> None:
    """Answer all, until nothing is under way."""
    while shipments := outbox.take(now_ns):
        for shipment in shipments:
            outbox.answered(shipment.number, stream.store(shipment), now_ns)


REFUSED = Refused("no leader")
