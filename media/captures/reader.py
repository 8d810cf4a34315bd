"""Reading a capture: every UDP datagram in it, with its exact time; what is none is counted, by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from media.captures.layers import Address, Skip, parse_frame
from media.captures.records import Damage, read_records

_BUFFER_BYTES = 1 << 20


class Datagram(NamedTuple):
    """A UDP datagram of a capture."""

    time_ns: int
    """Since the Unix epoch; to the resolution of the file."""
    source: Address
    destination: Address
    payload: bytes


class CaptureReader:
    """An iterator over the datagrams of a pcap or pcapng file; a context manager that closes it.

    Attributes:
        size_bytes: of the file.
        frames: read so far.
        skipped: frames that gave no datagram, by reason.
        link_types: unsupported ones, by their number (tcpdump.org/linktypes.html).
        warning: what was wrong with the file, empty if nothing was; known at the end of the iteration.
    """

    def __init__(self, path: Path) -> None:
        """Open `path` and check that it is a capture.

        Raises:
            OSError: it cannot be read.
            WireError: it is no capture.
        """
        self.size_bytes = path.stat().st_size
        self.frames = 0
        self.skipped: Counter[Skip] = Counter()
        self.link_types: Counter[int] = Counter()
        self.warning = ""
        self._file = path.open("rb", _BUFFER_BYTES)
        try:
            self._records = read_records(self._file)
        except BaseException:
            self._file.close()
            raise

    @property
    def position_bytes(self) -> int:
        """How far the file has been read."""
        return self._file.tell()

    def __iter__(self) -> Iterator[Datagram]:
        try:
            for time_ns, link_type, frame in self._records:
                self.frames += 1
                parsed = parse_frame(link_type, frame)
                if isinstance(parsed, Skip):
                    self._skip(parsed, link_type)
                elif time_ns is None:
                    self.skipped[Skip.NO_TIME] += 1
                else:
                    yield Datagram(time_ns, *parsed)
        except Damage as damage:
            self.warning = f"{damage}; the {self.frames:,} frames before it were read"

    def _skip(self, reason: Skip, link_type: int) -> None:
        self.skipped[reason] += 1
        if reason is Skip.LINK_TYPE:
            self.link_types[link_type] += 1

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> CaptureReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
