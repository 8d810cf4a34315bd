"""Shell: the carrier's signed webhooks, which announce each leg of the simulation and take it back at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from uuid import UUID, uuid5

import msgspec

from media.carrier.pacing import Pacer
from media.webhooks.envelope import body_of
from media.webhooks.outbox import Outcome
from media.webhooks.posting import HttpPoster, Poster
from media.webhooks.signing import Signer, read_key
from strep.clock import NS_PER_SECOND, Clock, SystemClock
from strep.errors import ConfigurationError

T = TypeVar("T")
AT_ONCE = 32
STARTED, STOPPED = "call.fork.started", "call.fork.stopped"


class Announcer:
    """Posts ``call.fork.started`` and ``call.fork.stopped``, as Telnyx does (`media.webhooks.envelope`).

    Attributes:
        refused: posts that were not answered with 2xx, by what was answered.
    """

    def __init__(self, url: str, key: Path, delay_ns: int = 0, clock: Clock | None = None) -> None:
        """Post to `url`, signed with the Ed25519 key in the file `key`.

        Args:
            url: of the receiver.
            key: see `strep keys`.
            delay_ns: after the first packet of each leg; 0 is before it, and answered.
            clock: for the time of the signatures; the machine's unless given.

        Raises:
            ConfigurationError: the key cannot be used, or a package is missing.
        """
        self.refused: dict[str, int] = {}
        self.delay_ns = delay_ns
        self._url, self._clock = url, clock or SystemClock()
        self._signer: Signer = read_key(key)
        self._room = asyncio.Semaphore(AT_ONCE)

    async def around(self, begins_ns: dict[UUID, int], pacer: Pacer, send: Callable[[], Awaitable[T]]) -> T:
        """Announce legs, send, take the announcements back; return what `send` returns.

        Args:
            begins_ns: by leg, when it begins after the first one.
            pacer: waits.
            send: sends everything in real time.

        Raises:
            ConfigurationError: nobody takes webhooks there.
        """
        poster = HttpPoster()  # here, for it imports much, and nothing may be sent late for that
        try:
            if not self.delay_ns:
                await self._post_all(poster, STARTED, begins_ns)
                sent = await send()
            else:
                sent = await self._announce_late(poster, begins_ns, pacer, send)
            await self._post_all(poster, STOPPED, begins_ns)
        finally:
            await poster.close()
        return sent

    async def _announce_late(
        self, poster: Poster, begins_ns: dict[UUID, int], pacer: Pacer, send: Callable[[], Awaitable[T]]
    ) -> T:
        started_ns = pacer.now_ns()

        async def announce(leg: UUID, begins: int) -> None:
            await pacer.sleep_until(started_ns + begins + self.delay_ns)
            await self._post(poster, STARTED, leg)

        async def announce_all() -> None:  # each at its time, however long the answer to another takes
            await asyncio.gather(*(announce(leg, begins) for leg, begins in begins_ns.items()))

        announcing = asyncio.create_task(announce_all())
        try:
            sent = await send()
            await announcing
        finally:
            announcing.cancel()
        return sent

    async def _post_all(self, poster: Poster, event_type: str, legs: Iterable[UUID]) -> None:
        await asyncio.gather(*(self._post(poster, event_type, leg) for leg in legs))

    async def _post(self, poster: Poster, event_type: str, leg: UUID) -> None:
        async with self._room:
            wall_ns = self._clock.wall_ns()
            body = body_of(data_of(event_type, leg, wall_ns), 1, self._url)
            headers = self._signer.headers(body, wall_ns // NS_PER_SECOND)
            answer = await poster.post(self._url, headers, body, wall_ns)
        if answer.outcome is Outcome.UNREACHABLE:
            raise ConfigurationError(f"announce: nobody takes webhooks at {self._url}: {answer.detail}")
        if answer.outcome is not Outcome.TAKEN:
            self.refused[answer.detail] = self.refused.get(answer.detail, 0) + 1


def data_of(event_type: str, leg: UUID, wall_ns: int) -> bytes:
    """Return ``data`` of an event of a fork, as JSON."""
    at = datetime.fromtimestamp(wall_ns / NS_PER_SECOND, UTC)
    payload = {
        "call_control_id": f"v3:{leg.hex}",
        "connection_id": "1684000000000000001",
        "call_leg_id": str(leg),
        "call_session_id": str(uuid5(leg, "session")),
        "client_state": None,
        "stream_type": "decrypted",
    }
    return msgspec.json.encode(
        {
            "record_type": "event",
            "event_type": event_type,
            "id": str(uuid5(leg, f"{event_type} {wall_ns}")),
            "occurred_at": at.isoformat().replace("+00:00", "Z"),
            "payload": payload,
        }
    )
