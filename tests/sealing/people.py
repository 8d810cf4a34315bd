"""Who seals for whom in tests, and how they open it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from media.sealing.keys import Identity
from media.sealing.opening import Opened

ALICE, BOB, EVE = Identity(bytes([1]) * 32), Identity(bytes([2]) * 32), Identity(bytes([3]) * 32)
FOR_ALICE = (ALICE.recipient,)


def in_clear(path: Path, identity: Identity = ALICE) -> bytes:
    """Return what a sealed file would be."""
    with Opened(path, [identity]) as opened:
        return b"".join(opened.chunks())


def heard(path: Path, identity: Identity = ALICE) -> NDArray[np.int16]:
    """Return the samples of a sealed recording, (n, channels)."""
    samples: NDArray[np.int16] = soundfile.read(io.BytesIO(in_clear(path, identity)), dtype="int16", always_2d=True)[
        0
    ]
    return samples


def about(path: Path) -> list[dict[str, Any]]:
    """Return what is sealed beside the audio."""
    with Opened(path, [ALICE]) as opened:
        return opened.about()
