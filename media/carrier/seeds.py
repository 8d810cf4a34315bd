"""Randomness that repeats itself: one independent stream per track and purpose.

A stream depends on the seed and on its own track alone, so call 7 meets the same faults whether it is
simulated with ten other calls or with a thousand.
"""

from __future__ import annotations

from enum import IntEnum
from uuid import UUID

import numpy as np

from strep.header import Direction, Leg


class Purpose(IntEnum):
    """What a stream of random numbers decides; separate, so that one fault never moves another."""

    NUMBERING = 0
    SUPPRESSION = 1
    EXTRAS = 2
    NETWORK = 3
    TONE = 4
    MALFORMED = 5
    IDENTITY = 6
    SSRC = 7


def random_stream(
    seed: int, purpose: Purpose, call: int = 0, leg: Leg = Leg.A, direction: Direction = Direction.INBOUND
) -> np.random.Generator:
    """Return the generator of one track (or of the whole simulation, with the defaults) and purpose."""
    return np.random.default_rng([seed, purpose, call, leg, direction])


def random_uuid(random: np.random.Generator) -> UUID:
    """Return a version 4 identifier drawn from `random`."""
    return UUID(bytes=random.bytes(16), version=4)


def call_leg_id(seed: int, call: int, *, own_b_leg: bool = False) -> UUID:
    """Return a call leg's identifier: shaped like a carrier's version 1 UUID, unique within a simulation.

    Real ones are version 1, which makes a wrong byte order visible: the version nibble moves.

    Args:
        seed: of the simulation; another seed gives other identifiers.
        call: number of the call, below 2**31; it counts up the time field.
        own_b_leg: the identifier of the call's B leg, where that has its own.
    """
    random = random_stream(seed, Purpose.IDENTITY)
    base, clock_sequence = int(random.integers(1 << 32)), int(random.integers(1 << 14))
    time_low = (base + 2 * call + own_b_leg) % (1 << 32)
    node = 0x0242_0000_0000 | int(random.integers(1 << 32))
    return UUID(
        fields=(time_low, 0xC9D0, 0x11F0, clock_sequence >> 8 | 0x80, clock_sequence & 0xFF, node),
    )


def stream_id(seed: int, call: int) -> UUID:
    """Return the identifier of a call's WebSocket media stream."""
    return random_uuid(random_stream(seed, Purpose.IDENTITY, call + 1))
