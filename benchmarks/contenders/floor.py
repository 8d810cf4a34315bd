"""The floor: what does it cost to get packets from the kernel at all, many in one system call?

``recvmmsg`` through ctypes into one table, no address, no time stamp, and the payload is not looked at:
nothing that receives with Python can do with less.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.kernel import bound_socket, queue
from strep.clock import NS_PER_MS, NS_PER_SECOND

BATCH = 1024  # UIO_MAXIOV
ROW_BYTES = 384
_MSG_DONTWAIT = 0x40
_INTERVAL_NS = 5 * NS_PER_MS
"""The server's drain_interval_ms."""
_IOVEC = np.dtype([("base", "u8"), ("length", "u8")])
_MMSGHDR = np.dtype(
    {"names": ["iov", "iovlen", "length"], "formats": ["u8", "u8", "u4"], "offsets": [16, 24, 56], "itemsize": 64}
)

Call = Callable[[int, int, int, int, None], int]


class _Drain:
    """A socket, a table, and the one system call."""

    def __init__(self) -> None:
        self.socket = bound_socket()
        self.table = np.zeros((BATCH, ROW_BYTES), np.uint8)
        self.received = self.received_bytes = 0
        row = np.arange(BATCH, dtype=np.uint64)
        self._vectors = np.zeros(BATCH, _IOVEC)
        self._vectors["base"] = self.table.ctypes.data + row * np.uint64(ROW_BYTES)
        self._vectors["length"] = ROW_BYTES
        self._headers = np.zeros(BATCH, _MMSGHDR)
        self._headers["iov"] = self._vectors.ctypes.data + row * np.uint64(_IOVEC.itemsize)
        self._headers["iovlen"] = 1
        self._lengths = self._headers["length"]
        self._address = self._headers.ctypes.data
        recvmmsg = ctypes.CDLL(None, use_errno=True).recvmmsg
        recvmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p]
        self._recvmmsg: Call = recvmmsg

    @property
    def port(self) -> int:
        port: int = self.socket.getsockname()[1]
        return port

    def take(self) -> int:
        """Return how many datagrams were read, at most `BATCH`; a full batch may have more behind it."""
        count = self._recvmmsg(self.socket.fileno(), self._address, BATCH, _MSG_DONTWAIT, None)
        if count > 0:
            self.received += count
            self.received_bytes += int(self._lengths[:count].sum())
        return count

    def evidence(self) -> dict[str, Any]:
        """Return the totals, and the datagrams that lie in the table: those of the last batches."""
        self.socket.close()
        rows = min(self.received, BATCH)
        datagrams = [self.table[i, : self._lengths[i]].tobytes().hex() for i in range(rows) if self._lengths[i]]
        return {"received": self.received, "received_bytes": self.received_bytes, "datagrams": datagrams}


class Clocked:
    """Drains every 5 ms, as the server does."""

    def __init__(self, argument: str, directory: Path) -> None:
        """Bind; nothing is written to `directory`."""
        self._drain = _Drain()
        self._stopping = False

    def run(self, ready: Callable[[int], None]) -> None:
        """Receive until `stop`."""
        ready(self._drain.port)
        next_ns = time.monotonic_ns()
        while not self._stopping:
            while self._drain.take() == BATCH:
                pass
            now_ns = time.monotonic_ns()
            next_ns = max(next_ns + _INTERVAL_NS, now_ns)
            time.sleep((next_ns - now_ns) / NS_PER_SECOND)

    def stop(self) -> None:
        """End `run`."""
        self._stopping = True

    def received(self) -> int:
        """Return the datagrams so far."""
        return self._drain.received

    def evidence(self) -> dict[str, Any]:
        """Return totals and a sample of datagrams."""
        return self._drain.evidence()


class Prefilled:
    """Waits until the kernel's queue grows no more, then empties it at full speed; only that is timed."""

    def __init__(self, argument: str, directory: Path) -> None:
        """Bind; nothing is written to `directory`."""
        self._drain = _Drain()
        self._stopping = False
        self._cpu_ns = self._wall_ns = 0

    def run(self, ready: Callable[[int], None]) -> None:
        """Receive until `stop`."""
        ready(self._drain.port)
        before = 0
        while not self._stopping:
            time.sleep(0.02)
            waiting = queue(self._drain.port).waiting_bytes
            if waiting and waiting == before:
                self._empty()
            before = waiting

    def _empty(self) -> None:
        wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        while self._drain.take() == BATCH:
            pass
        self._wall_ns += time.perf_counter_ns() - wall_ns
        self._cpu_ns += time.process_time_ns() - cpu_ns

    def stop(self) -> None:
        """End `run`."""
        self._stopping = True

    def received(self) -> int:
        """Return the datagrams so far."""
        return self._drain.received

    def evidence(self) -> dict[str, Any]:
        """Return totals, a sample of datagrams, and the time that draining took."""
        return {**self._drain.evidence(), "drain_cpu_ns": self._cpu_ns, "drain_wall_ns": self._wall_ns}
