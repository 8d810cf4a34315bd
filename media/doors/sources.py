"""Where a datagram came from: the kernel's socket address, as words for a key and as text for people."""

from __future__ import annotations

import ipaddress
import secrets
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


_SECRET, _HALF = np.uint64(secrets.randbits(64) | 1), np.uint64(32)
_AF_INET6 = 10
"""Linux's number, used in this column on every platform."""


def source_words(source: NDArray[np.uint8]) -> tuple[UInt64, UInt64, UInt64]:
    """Return (n,) columns (address high, address low, port) of (n, 28) socket addresses; IPv4 has high 0."""
    is_ipv6 = source[:, 0] == _AF_INET6
    port = _big_endian(source[:, 2:4], ">u2")
    high = np.where(is_ipv6, _big_endian(source[:, 8:16], ">u8"), np.uint64(0))
    low = np.where(is_ipv6, _big_endian(source[:, 16:24], ">u8"), _big_endian(source[:, 4:8], ">u4"))
    return high, low, port


def source_and(source: NDArray[np.uint8], small: UInt64) -> UInt64:
    """Return (n,) words of (n, 28) socket addresses with `small` ((n,) uint64, less than 256) in them.

    Of IPv4 they have address and port as they are, so that two sources never have one word. An IPv6 address is mixed
    into the 48 bits, with a secret: nobody can make up one that has the word of another.
    """
    rows = len(source)
    first, second, third = np.ndarray((3, rows), np.uint64, np.ascontiguousarray(source), 0, (8, SOURCE_BYTES))
    word: UInt64 = first.copy()
    is_ipv6 = source[:, 0] == _AF_INET6
    if is_ipv6.any():
        mixed = word[is_ipv6] * _SECRET
        for more in (second[is_ipv6], third[is_ipv6]):
            mixed = ((mixed ^ mixed >> _HALF) + more) * _SECRET
        word[is_ipv6] = (mixed ^ mixed >> _HALF) << np.uint64(16)
        small = small + is_ipv6.astype(np.uint64) * np.uint64(256)
    word &= ~np.uint64(0xFFFF)  # the family
    word |= small
    return word


def _big_endian(columns: NDArray[np.uint8], dtype: str) -> UInt64:
    return np.ascontiguousarray(columns).view(dtype)[:, 0].astype(np.uint64)


def describe_source(source: NDArray[np.uint8]) -> dict[str, Any]:
    """Return one (28,) socket address as ``{"address": ..., "port": ...}``."""
    data = source.tobytes()
    port = int.from_bytes(data[2:4], "big")
    packed = data[8:24] if data[0] == _AF_INET6 else data[4:8]
    return {"address": str(ipaddress.ip_address(packed)), "port": port}
