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
_EMPTY, _DELETED = -1, -2


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
        self._index = np.full(size, _EMPTY, np.int64)
        self._keys = np.zeros((3, size), np.uint64)
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
        return mixed.astype(np.int64)

    def _insert(self, key: Key, slot: int) -> None:
        words = [np.array([word], np.uint64) for word in key]
        place = int(self._hash(words[0], words[1], words[2])[0])
        while self._index[place] >= 0:
            place = (place + 1) & self._mask
        self._deleted -= self._index[place] == _DELETED
        self._index[place] = slot
        self._keys[:, place] = key

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
        words = [np.array([word], np.uint64) for word in key]
        place = int(self._hash(words[0], words[1], words[2])[0])
        while self._index[place] != slot or tuple(self._keys[:, place].tolist()) != key:
            place = (place + 1) & self._mask
        self._index[place] = _DELETED
        self._deleted += 1

    def lookup(self, first: UInt64, second: UInt64, third: UInt64) -> Int64:
        """Return the slot of each key, `UNKNOWN` where there is none; (n,) uint64 in, (n,) int64 out."""
        place = self._hash(first, second, third)
        slot = self._index[place]
        match = self._matches(place, first, second, third) & (slot >= 0)
        if match.all():
            return slot
        slot[~match] = UNKNOWN
        probing = np.flatnonzero(~match & (self._index[place] != _EMPTY))
        while len(probing):
            place[probing] = (place[probing] + 1) & self._mask
            here = place[probing]
            found = (self._index[here] >= 0) & self._matches(here, first[probing], second[probing], third[probing])
            slot[probing[found]] = self._index[here[found]]
            probing = probing[~found & (self._index[here] != _EMPTY)]
        return slot

    def _matches(self, place: Int64, first: UInt64, second: UInt64, third: UInt64) -> NDArray[np.bool_]:
        keys = self._keys
        same: NDArray[np.bool_] = (keys[0][place] == first) & (keys[1][place] == second) & (keys[2][place] == third)
        return same
