"""Where a datagram came from: the kernel's socket address, as words for a key and as text for people."""

from __future__ import annotations

import ipaddress
import socket
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strep.datagrams import SOURCE_BYTES

UInt64 = NDArray[np.uint64]

_FAMILY = np.dtype("<u2") if int.from_bytes(b"\x01\x00", "little") == 1 else np.dtype(">u2")


def pack_source(host: str, port: int) -> bytes:
    """Return `SOURCE_BYTES` of sockaddr as Linux lays it out, for receivers that get addresses as text."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if address.version == 4:
        return (struct.pack("<H", socket.AF_INET) + struct.pack("!H", port) + address.packed).ljust(
            SOURCE_BYTES, b"\0"
        )
    return struct.pack("<H", _AF_INET6) + struct.pack("!HI", port, 0) + address.packed + bytes(4)


_AF_INET6 = 10
"""Linux's number, used in this column on every platform."""


def source_words(source: NDArray[np.uint8]) -> tuple[UInt64, UInt64, UInt64]:
    """Return (n,) columns (address high, address low, port) of (n, 28) socket addresses; IPv4 has high 0."""
    is_ipv6 = source[:, 0] == _AF_INET6
    port = _big_endian(source[:, 2:4], ">u2")
    high = np.where(is_ipv6, _big_endian(source[:, 8:16], ">u8"), np.uint64(0))
    low = np.where(is_ipv6, _big_endian(source[:, 16:24], ">u8"), _big_endian(source[:, 4:8], ">u4"))
    return high, low, port


def _big_endian(columns: NDArray[np.uint8], dtype: str) -> UInt64:
    return np.ascontiguousarray(columns).view(dtype)[:, 0].astype(np.uint64)


def describe_source(source: NDArray[np.uint8]) -> dict[str, Any]:
    """Return one (28,) socket address as ``{"address": ..., "port": ...}``."""
    data = source.tobytes()
    port = int.from_bytes(data[2:4], "big")
    packed = data[8:24] if data[0] == _AF_INET6 else data[4:8]
    return {"address": str(ipaddress.ip_address(packed)), "port": port}
