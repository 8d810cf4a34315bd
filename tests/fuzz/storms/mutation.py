"""Datagrams that are nearly right, many at a time: each row of a table is changed in one way, by columns.

What is changed is real traffic; so most rows get far, and each check is met by rows that fail at it alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strep.header import HEADER_BYTES

Rows = NDArray[np.intp]
FIXED_HEADER_BYTES = 12


@dataclass
class Table:
    """Datagrams, one a row.

    Attributes:
        rows: (n, width) uint8.
        length: (n,) int64; it may be more than the width, as a receiver tells of a datagram that did not fit.
        source: (n, 28) uint8, sockaddr.
        rtp_at: where RTP begins in a row that is right.
    """

    rows: NDArray[np.uint8]
    length: NDArray[np.int64]
    source: NDArray[np.uint8]
    rtp_at: int


def _bits(table: Table, which: Rows, random: np.random.Generator) -> None:
    """One to four bits of the first 60 bytes."""
    for _ in range(4):
        at, bit = random.integers(0, 60, len(which)), random.integers(0, 8, len(which)).astype(np.uint8)
        some = random.random(len(which)) < 0.6
        table.rows[which[some], at[some]] ^= np.uint8(1) << bit[some]


def _truncation(table: Table, which: Rows, random: np.random.Generator) -> None:
    table.length[which] = random.integers(0, table.length[which] + 1)


def _growth(table: Table, which: Rows, random: np.random.Generator) -> None:
    """Up to a little more than may be, and rubbish at its end."""
    table.length[which] = random.integers(table.rtp_at, table.rows.shape[1] + 100, len(which))
    table.rows[which, -50:] = random.integers(0, 256, (len(which), 50))


def _first_byte(table: Table, which: Rows, random: np.random.Generator) -> None:
    """Version, padding, extension and number of CSRCs."""
    table.rows[which, table.rtp_at] = random.integers(0, 256, len(which))


def _optional_parts(table: Table, which: Rows, random: np.random.Generator) -> None:
    """The same at version 2, with lengths that may be."""
    table.rows[which, table.rtp_at] = 0x80 | random.integers(0, 64, len(which))
    words = table.rtp_at + FIXED_HEADER_BYTES + 4 * (table.rows[which, table.rtp_at] & 15).astype(np.int64)
    table.rows[which, words + 2] = 0
    table.rows[which, words + 3] = random.integers(0, 40, len(which))
    last = np.clip(table.length[which] - 1, 0, table.rows.shape[1] - 1)
    table.rows[which, last] = random.integers(0, 200, len(which))


def _payload_type(table: Table, which: Rows, random: np.random.Generator) -> None:
    """Any one, or one that is served in another way: telephone-event, comfort noise, the other law, G.722."""
    known = np.array([101, 101, 13, 8, 8, 9], np.uint8)
    some = random.random(len(which)) < 0.2
    value = np.where(some, random.integers(0, 256, len(which)), known[random.integers(0, len(known), len(which))])
    table.rows[which, table.rtp_at + 1] = value


def _sequence(table: Table, which: Rows, random: np.random.Generator) -> None:
    table.rows[which, table.rtp_at + 2 : table.rtp_at + 4] = random.integers(0, 256, (len(which), 2))


def _timestamp(table: Table, which: Rows, random: np.random.Generator) -> None:
    table.rows[which, table.rtp_at + 4 : table.rtp_at + 8] = random.integers(0, 256, (len(which), 4))


def _ssrc(table: Table, which: Rows, random: np.random.Generator) -> None:
    """Of a few, so that sources change, or a new one."""
    table.rows[which, table.rtp_at + 8 : table.rtp_at + 11] = 0
    table.rows[which, table.rtp_at + 11] = random.integers(0, 4, len(which))
    new = which[random.random(len(which)) < 0.3]
    table.rows[new, table.rtp_at + 8 : table.rtp_at + 12] = random.integers(0, 256, (len(new), 4))


def _payload(table: Table, which: Rows, random: np.random.Generator) -> None:
    start = table.rtp_at + FIXED_HEADER_BYTES
    table.rows[which, start : start + 160] = random.integers(0, 256, (len(which), 160))


def _rubbish(table: Table, which: Rows, random: np.random.Generator) -> None:
    table.rows[which, :64] = random.integers(0, 256, (len(which), 64))
    table.length[which] = random.integers(0, 80, len(which))


def _copy(table: Table, which: Rows, random: np.random.Generator) -> None:
    """Twice, or out of order, or from elsewhere."""
    other = random.integers(0, len(table.rows), len(which))
    table.rows[which], table.length[which] = table.rows[other], table.length[other]


def _elsewhere(table: Table, which: Rows, random: np.random.Generator) -> None:
    """Another port, or another address."""
    table.source[which, 3] ^= random.integers(0, 4, len(which)).astype(np.uint8)
    table.source[which, 7] ^= random.integers(0, 4, len(which)).astype(np.uint8)


def _leg(table: Table, which: Rows, random: np.random.Generator) -> None:
    """A leg that nobody knows: a bit of the id is another one, or all are."""
    table.rows[which, random.integers(8, HEADER_BYTES, len(which))] ^= np.uint8(1) << random.integers(
        0, 8, len(which)
    ).astype(np.uint8)
    new = which[random.random(len(which)) < 0.5]
    table.rows[new, 8:HEADER_BYTES] = random.integers(0, 256, (len(new), 16))


def _strep_bits(table: Table, which: Rows, random: np.random.Generator) -> None:
    """Magic, version, L and D."""
    mask = np.array([0x03, 0x01, 0x02, 0x3C, 0xC0, 0xFF], np.uint8)[random.integers(0, 6, len(which))]
    table.rows[which, 0] ^= mask & random.integers(0, 256, len(which)).astype(np.uint8)


def _header_length(table: Table, which: Rows, random: np.random.Generator) -> None:
    table.rows[which, 1] = random.integers(0, 256, len(which))


Mutation = Callable[[Table, Rows, np.random.Generator], None]
MUTATIONS: tuple[Mutation, ...] = (
    _bits, _truncation, _growth, _first_byte, _optional_parts, _sequence, _timestamp, _ssrc, _payload, _rubbish,
    _copy, _elsewhere,
)  # fmt: skip
STREP_MUTATIONS: tuple[Mutation, ...] = (_leg, _strep_bits, _header_length)
SELDOM = 0.01
"""Share of rows whose payload type is another: each may make a track be decoded, packet by packet, from then on."""


def mutate(table: Table, random: np.random.Generator, *, is_strep: bool) -> None:
    """Change every row, one in four a second time."""
    mutations = MUTATIONS + STREP_MUTATIONS * is_strep
    count = len(table.rows)
    for lowest in (0, -3 * len(mutations)):
        kind = random.integers(lowest, len(mutations), count)
        for number, change in enumerate(mutations):
            which = np.flatnonzero(kind == number)
            if len(which):
                change(table, which, random)
    _payload_type(table, np.flatnonzero(random.random(count) < SELDOM), random)
