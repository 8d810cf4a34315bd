"""Says back what it hears, half a second later."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np

from media.talk.call import LiveCall
from media.talk.contract import Pcm

DELAY_S = 0.5


async def echo(call: LiveCall) -> None:
    """Be the application of one call."""
    if not call.can_play:  # a fork, which is only listened to
        return
    blocks = call.listen(block_ms=100)
    first = await anext(blocks, None)
    if first is None:
        return

    async def delayed() -> AsyncIterator[Pcm]:
        yield np.zeros(round(DELAY_S * first.sample_rate_hz), np.int16)
        yield first.pcm
        async for block in blocks:
            yield block.pcm

    await call.play(delayed(), rate_hz=first.sample_rate_hz)
    await call.ended()
