"""Listens until you pause, and says back what you said."""

from __future__ import annotations

import numpy as np

from media.talk.call import LiveCall
from media.talk.contract import Pcm

LOUD = 500
"""Root mean square of a block that is speech: -36 dB of full scale."""
PAUSE_BLOCKS = 8
"""Blocks of 100 ms without speech that end a phrase."""
MOST_BLOCKS = 300
"""What it can remember: half a minute."""


def is_loud(pcm: Pcm) -> bool:
    """Tell speech from silence."""
    return float(np.sqrt(np.mean(np.square(pcm.astype(np.float32))))) > LOUD


async def parrot(call: LiveCall) -> None:
    """Be the application of one call."""
    if not call.can_play:  # a fork, which is only listened to
        return
    phrase: list[Pcm] = []
    quiet = 0
    async for block in call.listen(block_ms=100):
        loud = is_loud(block.pcm)
        quiet = 0 if loud else quiet + 1
        if loud and not phrase:
            await call.clear()  # whoever speaks is listened to
        if loud or phrase:
            phrase.append(block.pcm)
        if phrase and (quiet >= PAUSE_BLOCKS or len(phrase) >= MOST_BLOCKS):
            await call.play(np.concatenate(phrase), rate_hz=block.sample_rate_hz)
            phrase = []
