"""A call at which actions are done, and what its caller hears."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import numpy as np

from strep import header
from strep.g711 import Codec, decode
from strep.header import Direction, Leg, StrepHeader
from tests.control.acting import Acted, acting, wav
from tests.talk.live_calls import TONE, Carrier, stream

CONTENT = base64.b64encode(wav(800)).decode()
SPOKEN = (6000 * np.sin(np.arange(800) * 0.5)).astype(np.int16)


@asynccontextmanager
async def calling(app: Any = None, **config: Any) -> AsyncIterator[tuple[Acted, Carrier]]:
    """Run a server with a call that has begun."""
    async with acting(app, **config) as acted, stream(acted.server) as carrier:
        await carrier.talk(TONE[:160])
        await acted.event("call_started")
        yield acted, carrier


def loudness(carrier: Carrier) -> int:
    return int(np.abs(decode(np.frombuffer(carrier.heard, np.uint8), Codec.PCMU).astype(int)).max(initial=0))


def packed(packet: bytes) -> bytes:
    return header.serialize(StrepHeader(UUID(int=1), Leg.A, Direction.INBOUND)) + packet
