"""Demultiplexing: the key of a packet's track to the track's slot, for whole columns.

A key is three 64-bit words. For STREP: the halves of the call_leg_id and (L, D). For plain RTP: the source
address, and port, SSRC and door. The index is a hash table in one numpy array in which every key lies exactly where
a look-up expects it (hash and displace, Pagh 1999): keys fall into small buckets, and a bucket whose newest key
would meet another key moves to where there is room for all of it. So a look-up is one look at one entry, for all
rows at once, and only keys that were never seen take a Python statement.

::

    first, second, third -> mixed -> bucket of mixed -> its seed -> place of (mixed, seed) -> entry
"""

from __future__ import annotations

import secrets

import numpy as np
from numpy.typing import NDArray

UInt64 = NDArray[np.uint64]
Int64 = NDArray[np.int64]

Key = tuple[int, int, int]

UNKNOWN = -1
_WORDS = 4
"""Of an entry of the table: the key and its slot; half a cache line."""
_ENTRY = np.dtype((np.void, 8 * _WORDS))
_MOST_SEEDS = 256
"""Tried for a bucket; with three entries in four free, a few do."""
_HALF = np.uint64(32)
_OTHER = 29
"""Without it the highest bits of two words would cancel out; and the same shift twice is none."""
_UNLIKE_HALF = np.uint64(_OTHER)
_ALL_BITS = (1 << 64) - 1
_NOBODY = np.uint64(_ALL_BITS)
"""`UNKNOWN`, unsigned."""


class Demux:
    """A map from keys to small integers.

    The hash is keyed by secret random multipliers, so that a sender cannot choose identifiers that collide. If two
    keys do in all 64 bits, no seed parts them: then `lookup` knows but one of them at most, and `get` does.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._multipliers = [secrets.randbits(64) | 1 for _ in range(3)]
        self._words = [np.uint64(multiplier) for multiplier in self._multipliers]
        self._slots: dict[Key, int] = {}
        self._rebuild(1 << 10)

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._slots)

    def _rebuild(self, size: int) -> None:
        self._size, buckets = size, size // 8
        self._bucket_shift, self._place_shift = (65 - length.bit_length() for length in (buckets, size))
        self._seeds = np.zeros(buckets, np.uint64)
        self._buckets: dict[int, list[Key]] = {}
        self._table = np.zeros((size, _WORDS), np.uint64)
        self._entries = self._table.view(_ENTRY)[:, 0]
        self._table[:, 3] = _NOBODY
        self._is_taken = bytearray(size)
        for key in self._slots:
            self._insert(key)

    def _mix(self, key: Key) -> int:
        """Return 64 bits of one `key`, as `lookup` does."""
        a, b, c = self._multipliers
        mixed = key[0] * a & _ALL_BITS
        mixed = (mixed ^ mixed >> 32) + key[1] * b & _ALL_BITS
        mixed = (mixed ^ mixed >> _OTHER) + key[2] * c & _ALL_BITS
        return (mixed ^ mixed >> 32) * b & _ALL_BITS

    def _place(self, mixed: int, seed: int) -> int:
        return ((mixed ^ seed) * self._multipliers[2] & _ALL_BITS) >> self._place_shift

    def _insert(self, key: Key) -> None:
        """Put `key` into its bucket, and all keys of the bucket where there is room for them."""
        bucket = self._mix(key) >> self._bucket_shift
        keys = self._buckets.setdefault(bucket, [])
        for other in keys:
            self._vacate(other, bucket)
        keys.append(key)
        mixed = [self._mix(each) for each in keys]
        before = int(self._seeds[bucket])
        for seed in range(before, before + _MOST_SEEDS):
            places = [self._place(each, seed) for each in mixed]
            if len(set(places)) == len(keys) and not any(self._is_taken[place] for place in places):
                break
        else:
            seed = before
            places = [self._place(each, seed) for each in mixed]
        self._seeds[bucket] = seed
        for each, place in zip(keys, places, strict=True):
            self._table[place] = (*each, self._slots[each])
            self._is_taken[place] = True

    def _vacate(self, key: Key, bucket: int) -> None:
        place = self._place(self._mix(key), int(self._seeds[bucket]))
        self._table[place, 3] = _NOBODY
        self._is_taken[place] = False

    def add(self, key: Key, slot: int) -> None:
        """Map `key` to `slot`, whatever it stood for before."""
        self.discard(key)
        self._slots[key] = slot
        if 4 * len(self._slots) > self._size:
            self._rebuild(1 << (8 * len(self._slots)).bit_length())
        else:
            self._insert(key)

    def get(self, key: Key) -> int:
        """Return the slot of one `key`, `UNKNOWN` if there is none."""
        return self._slots.get(key, UNKNOWN)

    def discard(self, key: Key) -> None:
        """Forget `key` if it is known."""
        if key in self._slots:
            self.remove(key)

    def remove(self, key: Key) -> None:
        """Forget `key`."""
        del self._slots[key]
        bucket = self._mix(key) >> self._bucket_shift
        self._buckets[bucket].remove(key)
        if not self._buckets[bucket]:
            del self._buckets[bucket]
        self._vacate(key, bucket)

    def lookup(self, first: UInt64, second: UInt64, third: UInt64) -> Int64:
        """Return the slot of each key, `UNKNOWN` where there is none; (n,) uint64 in, (n,) int64 out."""
        a, b, c = self._words
        place = first * a
        place ^= place >> _HALF
        place += second * b
        place ^= place >> _UNLIKE_HALF
        place += third * c
        place ^= place >> _HALF
        place *= b
        place ^= self._seeds[(place >> np.uint64(self._bucket_shift)).view(np.int64)]
        place *= c
        place >>= np.uint64(self._place_shift)
        entry = self._entries[place.view(np.int64)].view(np.uint64).reshape(-1, _WORDS)
        slot = entry.view(np.int64)[:, 3].copy()
        match = entry[:, 0] == first
        match &= entry[:, 1] == second
        match &= entry[:, 2] == third
        if not match.all():
            slot[~match] = UNKNOWN
        return slot
