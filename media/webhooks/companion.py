"""`Webhooks`: the postman as configured, started and closed with the server."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any
from urllib.parse import urlsplit

from media.config import ServerConfig
from media.events.bus import EventBus
from media.webhooks.envelope import Selection
from media.webhooks.outbox import RetryPolicy
from media.webhooks.posting import HttpPoster, import_aiohttp
from media.webhooks.postman import Postman, shown
from media.webhooks.signing import read_key
from media.webhooks.spool import Memory, Spool, folder_name
from strep.clock import NS_PER_SECOND, Clock

_LOG = logging.getLogger("strep.webhooks")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Webhooks:
    """Posts the events of a server."""

    name = "webhooks"

    def __init__(self, config: ServerConfig, bus: EventBus, clock: Clock) -> None:
        """Subscribe; nothing is posted before `start`.

        Raises:
            ConfigurationError: a package or the key is missing.
        """
        import_aiohttp()
        signer = read_key(config.webhook_key) if config.webhook_key is not None else None
        self._store = Memory()
        if config.webhook_spool is not None:
            self._store = Spool(config.webhook_spool, folder_name(clock.wall_ns(), os.getpid()))
        self._postman = Postman(
            config.webhooks,
            clock,
            make_poster=HttpPoster,
            wanted=Selection(config.webhook_events),
            store=self._store,
            max_bytes=config.webhook_backlog_bytes,
            policy=RetryPolicy(
                max_faults=config.webhook_max_tries, max_age_ns=round(config.webhook_max_age_s * NS_PER_SECOND)
            ),
            signer=signer,
        )
        for url in config.webhooks:
            _warn_about(url, is_signed=signer is not None)
        bus.subscribe(self._postman.put)

    async def start(self) -> None:
        """Open the spool and start the thread.

        Raises:
            OSError: the disk does not let us.
        """
        self._store.open()
        self._postman.start()

    async def close(self) -> None:
        """Deliver what can be delivered soon; the spool keeps the rest."""
        await asyncio.to_thread(self._postman.stop)

    def snapshot(self) -> dict[str, Any]:
        """Return counters."""
        return self._postman.snapshot()


def _warn_about(url: str, *, is_signed: bool) -> None:
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        _LOG.warning("webhooks go to %s in the clear, digits and all: use https", shown(url))
    if not is_signed:
        _LOG.warning("webhooks to %s are not signed, anybody could have sent them: give --webhook-key", shown(url))
