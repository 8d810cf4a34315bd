"""The body of an answer as a file: read from the network when it is wanted, and kept on disk to be read again."""

from __future__ import annotations

import http.client
import io
import tempfile

from media.talk.contract import PlaybackError
from media.talk.sources.line import Line
from media.talk.sources.urls import UrlRules, failure, name_of, request

_IN_MEMORY_BYTES = 2**20
_PIECE_BYTES = 2**14


class Body:
    """One URL, asked for once. All but `abort` belongs to one worker."""

    def __init__(self, url: str, rules: UrlRules) -> None:
        self.what = name_of(url)
        self._url, self._rules = url, rules
        self._answer: http.client.HTTPResponse | None = None
        self._line = Line(self.what, rules.stall_s)
        self._kept = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115
        self._size_bytes = 0
        self._is_whole = self._is_aborted = False

    def open(self) -> Reader:
        """Return a file of it, from the first byte on; the first one asks the server.

        Raises:
            PlaybackError: see `urls.request`, or it is empty.
        """
        if self._answer is None:
            self._answer = request(self._url, self._rules, self._line)
            kind = self._answer.getheader("Content-Type")
            self.what += f" ({kind})" if kind and not kind.startswith("audio/") and kind.isprintable() else ""
        if not self.has(1):
            raise PlaybackError(f"{self.what} is empty: the answer has no body")
        # MP4 may have its index behind its audio; the others start sooner if they cannot look behind.
        return Reader(self, can_seek=self.read_at(4, 4) == b"ftyp")

    def has(self, size_bytes: int) -> bool:
        """Return whether there are `size_bytes`, after fetching what is lacking of them."""
        while self._size_bytes < size_bytes and not self._is_whole:
            self._fetch()
        return self._size_bytes >= size_bytes

    def read_at(self, offset: int, size_bytes: int) -> bytes:
        """Return up to `size_bytes`, as many as are there, at least one unless it is the end."""
        self.has(offset + 1)
        self._kept.seek(offset)
        return self._kept.read(size_bytes)

    def abort(self) -> None:
        """Wake whoever waits for the server; it gets an error. Any thread may."""
        self._is_aborted = True
        self._line.cut()

    def close(self) -> None:
        """Let go of the connection and of what was kept."""
        if self._answer is not None:
            self._answer.close()
        self._line.hang_up()
        self._kept.close()

    def _fetch(self) -> None:
        assert self._answer is not None
        promised = self._answer.length  # what is still to come
        try:
            piece = b"" if self._is_aborted else self._answer.read1(_PIECE_BYTES)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise PlaybackError(f"{self.what}: {failure(error, self._rules)}") from error
        if self._is_aborted:
            raise PlaybackError(f"{self.what}: given up")
        if not piece:
            if promised:
                raise PlaybackError(f"{self.what}: the connection ended {promised} bytes before the end")
            self._is_whole = True
            self._answer.close()
            return
        self._kept.seek(0, io.SEEK_END)
        self._kept.write(piece)
        self._size_bytes += len(piece)
        if self._size_bytes > self._rules.size_bytes:
            raise PlaybackError(f"{self.what}: more than the {self._rules.size_bytes} bytes allowed")


class Reader(io.RawIOBase):
    """A `Body` from its beginning; each has a position of its own."""

    def __init__(self, body: Body, *, can_seek: bool) -> None:
        self._body, self._can_seek, self._position = body, can_seek, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """Only where that is worth the wait."""
        return self._can_seek

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, at least one unless it is the end."""
        piece = self._body.read_at(self._position, _PIECE_BYTES if size < 0 else size)
        self._position += len(piece)
        return piece

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move; to the end means that all of it is fetched, so ffmpeg, which asks how large it is, is told no."""
        if whence == io.SEEK_END:
            return -1
        target = offset + (self._position if whence == io.SEEK_CUR else 0)
        if target < 0:
            return -1
        self._body.has(target)
        self._position = target
        return target

    def tell(self) -> int:
        """Return the position."""
        return self._position
