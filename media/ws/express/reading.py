"""Whole text frames of one length in columns: unmasked, compared with templates, numbers and audio taken out."""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64

import numpy as np
from numpy.typing import NDArray

from media.ws.express.layout import ALPHABET, HEAD_BYTES, Layout

Int64 = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_WORD = 8
_IS_BASE64 = np.zeros(256, np.bool_)
_IS_BASE64[np.frombuffer(ALPHABET, np.uint8)] = True


def words(length: int) -> int:
    """Return how many uint64 hold `length` bytes."""
    return -(-length // _WORD)


def unmask(data: Bytes, positions: Int64, size: int) -> Bytes:
    """Return the texts of frames of `size` bytes that begin at `positions` in `data`.

    Returns:
        (n, 8 * words) uint8, whose last columns are of no meaning.
    """
    width = _WORD * words(size - HEAD_BYTES)
    texts = (
        _items(data, np.dtype((np.void, width)))[positions + HEAD_BYTES].view(np.uint64).reshape(-1, width // _WORD)
    )
    key = _items(data, np.dtype(np.uint32))[positions + HEAD_BYTES - 4].astype(np.uint64)
    key |= key << np.uint64(32)
    texts ^= key[:, None]
    return texts.view(np.uint8)


def heads(data: Bytes, positions: Int64) -> Int64:
    """Return (n,) int64: the four bytes at each of `positions` as a number in the machine's byte order."""
    found: Int64 = _items(data, np.dtype(np.uint32))[positions].astype(np.int64)
    return found


def _items(data: Bytes, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Return `data` as items that begin at every byte: one that is indexed is copied whole."""
    return np.ndarray((len(data) - dtype.itemsize + 1,), dtype, data, 0, (1,))


def fits(texts: Bytes, masks: NDArray[np.uint64], templates: NDArray[np.uint64]) -> Mask:
    """Return (n,) bool: whether a text, where its mask has ones, is its template; (n, words) or one for all."""
    difference = texts.view(np.uint64) & masks
    difference ^= templates
    found: Mask = np.bitwise_or.reduce(difference, axis=1) == 0
    return found


class Reader:
    """Reads the texts of one layout.

    Attributes:
        layout: as given.
        mask: (words of MAX_TEXT_BYTES,) uint64, see `Layout.fixed`.
    """

    def __init__(self, layout: Layout) -> None:
        """Prepare the columns."""
        self.layout = layout
        self.mask = layout.fixed().view(np.uint64)
        numbers = layout.numbers
        self._columns = np.concatenate([np.arange(begin, end) for begin, end in numbers]).astype(np.intp)
        self._weights = np.zeros((len(self._columns), len(numbers)))
        self._firsts = []  # digits that must not be 0
        at = 0
        for field, (begin, end) in enumerate(numbers):
            count = end - begin
            self._weights[at : at + count, field] = 10.0 ** np.arange(count)[::-1]
            if count > 1:
                self._firsts.append(at)
            at += count

    def numbers(self, texts: Bytes) -> tuple[Int64, Mask]:
        """Return (n, 3) int64, `Layout.numbers`, 0 where there is none; and (n,) bool: which are canonical."""
        digits = texts[:, self._columns] - np.uint8(ord("0"))
        valid = digits.max(axis=1, initial=0) <= 9
        if self._firsts:
            valid &= digits[:, self._firsts].min(axis=1) > 0
        return (digits @ self._weights).astype(np.int64), valid

    def payloads(self, texts: Bytes) -> tuple[Bytes, Mask]:
        """Return (n, samples or up to two more) uint8, and (n,) bool: whose base64 is canonical (RFC 4648, 3.5)."""
        begin, end = self.layout.payload
        characters = texts[:, begin:end].copy()
        if self.layout.padding:
            characters[:, -self.layout.padding :] = ALPHABET[0]
        valid: Mask = np.ones(len(texts), np.bool_)
        size = (end - begin) // 4 * 3
        try:
            decoded = a2b_base64(characters.data)
        except Base64Error:
            decoded = b""
        if len(decoded) != size * len(texts):  # what is of no alphabet is passed over
            valid &= _IS_BASE64[characters].all(axis=1)
            characters[~valid] = ALPHABET[0]
            decoded = a2b_base64(characters.data)
        payloads = np.frombuffer(decoded, np.uint8).reshape(len(texts), size)
        if self.layout.padding:
            valid &= (payloads[:, self.layout.samples :] == 0).all(axis=1)
        return payloads, valid
