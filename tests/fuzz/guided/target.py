"""`Target`: a parser of untrusted bytes, what it promises, and inputs to begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One parser or a few that belong together.

    Attributes:
        name: on the command line, and of the folder of its cases.
        check: takes any bytes and raises if a promise does not hold; the file it is in says which there are.
        seeds: makes inputs to begin with; the search is as good as they are.
        max_bytes: longer inputs are not tried.
    """

    name: str
    check: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    max_bytes: int = 4096


class Bytes:
    """An input, taken piece by piece; when nothing is left of it, everything is zero."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def byte(self) -> int:
        return self.number(1)

    def number(self, size_bytes: int) -> int:
        return int.from_bytes(self.take(size_bytes), "big")

    def take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken

    def rest(self) -> bytes:
        return self.take(len(self._data))

    def piece(self) -> bytes:
        """Return the next piece: its length is in front of it, as `pieces` writes it."""
        length = self.byte()
        return self.take(length if length < 255 else self.number(2))


def pieces(*parts: bytes) -> bytes:
    """Return what `Bytes.piece` takes apart again."""
    heads = (bytes((len(p),)) if len(p) < 255 else b"\xff" + len(p).to_bytes(2, "big") for p in parts)
    return b"".join(head + part for head, part in zip(heads, parts, strict=True))
