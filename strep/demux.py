"""Demultiplexing: the key of a packet's track to the track's slot, for whole columns.

A key is three 64-bit words. For STREP: the halves of the call_leg_id and (L, D). For plain RTP: the source
address, and port, SSRC and door. The index is an open-addressing hash table in one numpy array: lookups probe all
rows at once, and only keys that were never seen take a Python statement.
"""

from __future__ import annotations

import secrets

import numpy as np
from numpy.typing import NDArray

UInt64 = NDArray[np.uint64]
Int64 = NDArray[np.int64]

Key = tuple[int, int, int]

UNKNOWN = -1
_DELETED = -2
_WORDS = 4
"""Of an entry of the table: the key and its slot; half a cache line."""
_ENTRY = np.dtype((np.void, 8 * _WORDS))


class Demux:
    """A map from keys to small integers.

    The hash is keyed by secret random multipliers, so that a sender cannot choose identifiers that collide.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._multipliers = [np.uint64(secrets.randbits(64) | 1) for _ in range(3)]
        self._slots: dict[Key, int] = {}
        self._rebuild(1 << 10)

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._slots)

    def _rebuild(self, size: int) -> None:
        self._mask = size - 1
        self._shift = np.uint64(64 - size.bit_length() + 1)
        table = np.zeros((size, _WORDS), np.uint64)
        self._keys, self._slot = table[:, :3], table.view(np.int64)[:, 3]
        self._entries = table.view(_ENTRY)[:, 0]
        self._slot[:] = UNKNOWN
        self._deleted = 0
        for key, slot in self._slots.items():
            self._insert(key, slot)

    def _hash(self, first: UInt64, second: UInt64, third: UInt64) -> Int64:
        a, b, c = self._multipliers
        mixed = first * a
        mixed ^= second * b
        mixed ^= third * c
        mixed *= a
        mixed >>= self._shift
        return mixed.view(np.int64)

    def _first_place(self, key: Key) -> int:
        words = [np.array([word], np.uint64) for word in key]
        return int(self._hash(words[0], words[1], words[2])[0])

    def _insert(self, key: Key, slot: int) -> None:
        place = self._first_place(key)
        while self._slot[place] >= 0:
            place = (place + 1) & self._mask
        self._deleted -= self._slot[place] == _DELETED
        self._slot[place] = slot
        self._keys[place] = key

    def add(self, key: Key, slot: int) -> None:
        """Map a new `key` to `slot`."""
        self._slots[key] = slot
        if 4 * (len(self._slots) + self._deleted) > self._mask + 1:
            self._rebuild(max(1 << 10, 1 << (8 * len(self._slots)).bit_length()))
        else:
            self._insert(key, slot)

    def get(self, key: Key) -> int:
        """Return the slot of one `key`, `UNKNOWN` if there is none."""
        return self._slots.get(key, UNKNOWN)

    def discard(self, key: Key) -> None:
        """Forget `key` if it is known."""
        if key in self._slots:
            self.remove(key)

    def remove(self, key: Key) -> None:
        """Forget `key`."""
        slot = self._slots.pop(key)
        place = self._first_place(key)
        while self._slot[place] != slot or tuple(self._keys[place].tolist()) != key:
            place = (place + 1) & self._mask
        self._slot[place] = _DELETED
        self._deleted += 1

    def lookup(self, first: UInt64, second: UInt64, third: UInt64) -> Int64:
        """Return the slot of each key, `UNKNOWN` where there is none; (n,) uint64 in, (n,) int64 out."""
        place = self._hash(first, second, third)
        slot, match = self._look(place, first, second, third)
        if match.all():
            return slot
        probing = np.flatnonzero(~match)
        while len(probing):
            probing = probing[slot[probing] != UNKNOWN]  # an entry that was never used ends the search
            place[probing] = here = (place[probing] + 1) & self._mask
            slot[probing], match = self._look(here, first[probing], second[probing], third[probing])
            probing = probing[~match]
        return slot

    def _look(self, place: Int64, first: UInt64, second: UInt64, third: UInt64) -> tuple[Int64, NDArray[np.bool_]]:
        """Return the slots in the entries at `place`, and whether their keys are those that are sought."""
        entry = self._entries[place].view(np.uint64).reshape(-1, _WORDS)
        slot = entry.view(np.int64)[:, 3].copy()
        match: NDArray[np.bool_] = entry[:, 0] == first
        match &= entry[:, 1] == second
        match &= entry[:, 2] == third
        match &= slot >= 0
        return slot, match
