"""A socket that is emptied by recvmmsg(2) in a loop, and a fingerprint of everything that came, in the order it came.

As a program it is the process on the other core; see `benchmarks.child` for how it is spoken to.
"""

from __future__ import annotations

import select
import sys
import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.child import answer
from benchmarks.kernel import RECEIVER_CPU, bound_socket, pin
from strep.clock import SystemClock
from strep.mmsg import BatchSocket

_REST_S = 0.0005
_MULTIPLIER, _SHIFT = np.uint64(0x9E37_79B9_7F4A_7C15), np.uint64(29)


class Fingerprint:
    """Of datagrams of one length, and of their order: any other byte or order gives another one, nearly certainly.

    Every datagram is reduced to a number of 64 bits, and the numbers are added up, weighted by their places.

    Args:
        width: bytes of every datagram, a multiple of four.

    Attributes:
        count: datagrams.
        value: 64 bits.
    """

    def __init__(self, width: int) -> None:
        """Begin with none."""
        self._width = width
        self._weights = np.random.default_rng(3550).integers(1 << 63, size=width // 4, dtype=np.uint64) | np.uint64(1)
        self.count = self.value = 0

    def add(self, rows: NDArray[np.uint8]) -> None:
        """Add (n, at least `width`) uint8 datagrams in the order of their rows."""
        words = rows[:, : self._width].view(np.uint32)
        numbers = (words * self._weights).sum(axis=1)
        numbers ^= numbers >> _SHIFT
        numbers *= _MULTIPLIER
        numbers ^= numbers >> _SHIFT
        places = np.arange(self.count + 1, self.count + len(rows) + 1, dtype=np.uint64)
        self.value = (self.value + int((numbers * places).sum())) % (1 << 64)
        self.count += len(rows)


def main() -> None:
    """Receive datagrams of the length in the argument until asked for the fingerprint."""
    pin(RECEIVER_CPU)
    width = int(sys.argv[1])
    sock = bound_socket()
    answer({"port": sock.getsockname()[1]})
    batches, fingerprint, odd = BatchSocket(sock, SystemClock()), Fingerprint(width), 0
    before_ns = time.process_time_ns()
    while not select.select([sys.stdin], [], [], 0)[0]:
        while (batch := batches.drain()) is not None:
            is_even = batch.length == width
            odd += len(batch) - int(is_even.sum())
            rows = batch.table[: len(batch)]
            fingerprint.add(rows if is_even.all() else rows[is_even])
        time.sleep(_REST_S)
    cpu_ns = time.process_time_ns() - before_ns
    answer({"count": fingerprint.count, "value": fingerprint.value, "odd": odd, "cpu_ns": cpu_ns})
    batches.close()


if __name__ == "__main__":
    main()
