"""`SealedText`: lines that are sealed as they are written, each batch of them a record."""

from __future__ import annotations

import errno
import os

from media.sealing.keys import Recipients
from media.sealing.records import Damaged, Kind, Sealer
from media.sealing.scanning import reader_of, survey

_PIECE_BYTES = 1 << 20


class SealedText:
    """What is written into one file. It grows behind what is there, also behind what another process has sealed."""

    def __init__(self, recipients: Recipients) -> None:
        self._recipients = recipients
        self._sealer: Sealer | None = None
        self._end = 0

    def goes_on(self, size: int) -> bool:
        """Return whether a file of `size` bytes has nothing behind what was sealed here."""
        return self._sealer is not None and size == self._end

    def seal(self, fd: int, content: bytes, size: int) -> tuple[bytes, int]:
        """Return what is to be written for `content`, and where: behind the last whole record, where the file ends.

        Args:
            fd: the file, open for reading and writing.
            content: of any length.
            size: of the file.

        Raises:
            OSError: it cannot be read, or something in it was not sealed by us.
        """
        pieces = []
        if self._sealer is None or size != self._end:
            if (end := _end_of(fd, size)) < size:  # a dead process was writing
                os.ftruncate(fd, end)
            size = end
            self._sealer = Sealer(self._recipients, size)
            pieces += [self._sealer.segment.head, self._sealer.segment.envelope]
        end = size + sum(map(len, pieces))
        for first in range(0, len(content), _PIECE_BYTES):
            piece = content[first : first + _PIECE_BYTES]
            sealed = self._sealer.seal(end, Kind.TEXT, piece, count=len(piece))
            pieces += sealed
            end += sum(map(len, sealed))
        self._end = end
        return b"".join(pieces), size


def _end_of(fd: int, size: int) -> int:
    """Return where the last whole record of a file ends."""
    end = 0
    try:
        for found in survey(reader_of(fd), size):  # what is damaged in it stays as it is
            end = found.end
    except Damaged as error:
        raise OSError(errno.EBADMSG, str(error)) from None
    return end
