"""Where a media frame's text has its counters and its audio, found by trying and not by knowing the dialect.

A dialect's parser has read the text already. Digits and base64 that look like the counters and the payload are
replaced, and the parser reads that: only if it finds exactly the replaced values, and everything else as before, are
they what they look like. Any other text that differs from this one in these places alone, and has canonical numbers
and canonical base64 there, means the same but for these values.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from media.ws.messages import Frame, Media
from strep.errors import WireError

HEAD_BYTES = 8
"""Of a masked frame with a length of two bytes: RFC 6455 section 5.2."""
MIN_TEXT_BYTES = 126
"""Shorter ones have another head."""
MAX_TEXT_BYTES = 1024
"""Longer frames go the normal way: 20 ms of G.711 are 430 bytes, 80 ms are 1,070."""
MAX_DIGITS = 15
"""A float holds integers of so many digits exactly."""
_NOWHERE = (0, 0)
_FIELDS = ("sequence_number", "chunk", "timestamp")
_NUMBER = {
    "sequence_number": re.compile(rb'"sequence_?[nN]umber"\s*:\s*"?(0|[1-9][0-9]{0,14})"?\s*[,}]'),
    "chunk": re.compile(rb'"chunk"\s*:\s*"?(0|[1-9][0-9]{0,14})"?\s*[,}]'),
    "timestamp": re.compile(rb'"timestamp"\s*:\s*"?(0|[1-9][0-9]{0,14})"?\s*[,}]'),
}
_PAYLOAD = re.compile(rb'"payload"\s*:\s*"([A-Za-z0-9+/]+)(={0,2})"')
_PROBE_DIGITS = bytes.maketrans(b"0123456789", b"1234567891")
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_PROBE_BASE64 = bytes.maketrans(ALPHABET, ALPHABET[1:] + ALPHABET[:1])


@dataclass(frozen=True)
class Layout:
    """The places in a text of `length` bytes; texts with equal layouts are read together.

    Attributes:
        numbers: first byte and end of sequence_number, chunk and timestamp; both 0 where there is none.
        payload: first byte and end of the base64, padding included.
        padding: how many ``=`` are at its end.
    """

    length: int
    numbers: tuple[tuple[int, int], ...]
    payload: tuple[int, int]
    padding: int

    @property
    def frame_bytes(self) -> int:
        """Length of the whole frame, masked (RFC 6455 section 5.2)."""
        return HEAD_BYTES + self.length

    @property
    def samples(self) -> int:
        """Bytes of G.711 in the payload."""
        begin, end = self.payload
        return (end - begin) // 4 * 3 - self.padding

    @property
    def has_sequence_number(self) -> bool:
        """Whether there is one."""
        return self.numbers[0] != _NOWHERE

    @property
    def has_timestamp(self) -> bool:
        """Whether there is one."""
        return self.numbers[2] != _NOWHERE

    def fixed_pieces(self) -> list[tuple[int, int]]:
        """Return first byte and end of all that stays."""
        begin, end = self.payload
        pieces, at = list[tuple[int, int]](), 0
        for first, after in sorted([*self.numbers, (begin, end - self.padding)]):
            if after > first:
                pieces.append((at, first))
                at = after
        return [*pieces, (at, self.length)]

    def grown(self, template: bytes, text: bytes) -> Layout | None:
        """Return the layout of `text` if it differs from `template`, of this one, in variables and their lengths."""
        begin, end = self.payload
        fields = sorted((*span, field) for field, span in enumerate((*self.numbers, (begin, end - self.padding))))
        spans, at, old = [_NOWHERE] * len(fields), 0, 0
        for first, after, field in (place for place in fields if place[1]):
            piece, until = template[old:first], template[after : after + 1]
            at += len(piece)
            stop = text.find(until, at)
            number = text[at:stop]
            if stop < 0 or text[at - len(piece) : at] != piece:
                return None
            if field < len(self.numbers) and not (
                number.isdigit() and len(number) <= MAX_DIGITS and (number[:1] != b"0" or number == b"0")
            ):
                return None
            spans[field], at, old = (at, stop), stop, after
        if text[at:] != template[old:] or not MIN_TEXT_BYTES <= len(text) <= MAX_TEXT_BYTES:
            return None
        first, after = spans.pop()
        if (after - first + self.padding) % 4:  # escaped slashes: what they mean is for the parser to say
            return None
        return Layout(len(text), tuple(spans), (first, after + self.padding), self.padding)

    def fixed(self) -> NDArray[np.uint8]:
        """Return (MAX_TEXT_BYTES,) uint8: 255 where a text must be as the template, 0 elsewhere."""
        mask = np.zeros(MAX_TEXT_BYTES, np.uint8)
        for begin, end in self.fixed_pieces():
            mask[begin:end] = 255
        return mask


def find_layout(text: bytes, frame: Media, parse: Callable[[str | bytes], Frame]) -> Layout | None:
    """Return the layout of `text`, which `parse` has read as `frame`; None if it cannot be told for certain."""
    body = frame.media
    numbers = []
    for name, value in zip(_FIELDS, (frame.sequence_number, body.chunk, body.timestamp), strict=True):
        found = _only(_NUMBER[name], text)
        if (found is None) != (value is None):
            return None
        numbers.append(found.span(1) if found is not None else _NOWHERE)
    found = _only(_PAYLOAD, text)
    if found is None or not MIN_TEXT_BYTES <= len(text) <= MAX_TEXT_BYTES:
        return None
    payload = found.start(1), found.end(2)
    layout = Layout(len(text), tuple(numbers), payload, len(found.group(2)))
    if (payload[1] - payload[0]) % 4 or layout.samples != len(body.payload):
        return None
    return layout if _is_proven(layout, text, frame, parse) else None


def _only(pattern: re.Pattern[bytes], text: bytes) -> re.Match[bytes] | None:
    found = list(pattern.finditer(text))
    return found[0] if len(found) == 1 else None


def _is_proven(layout: Layout, text: bytes, frame: Media, parse: Callable[[str | bytes], Frame]) -> bool:
    """Tell whether other values in these places are read as these values, and as nothing else."""
    probe, values = bytearray(text), list[int | None]()
    for begin, end in layout.numbers:
        probe[begin:end] = probe[begin:end].translate(_PROBE_DIGITS)
        values.append(int(probe[begin:end]) if end > begin else None)
    begin, end = layout.payload
    last = end - 4 if layout.padding else end  # a quad with padding must stay canonical
    probe[begin:last] = probe[begin:last].translate(_PROBE_BASE64)
    sequence_number, chunk, timestamp = values
    body = msgspec.structs.replace(
        frame.media, payload=a2b_base64(probe[begin:end]), chunk=chunk, timestamp=timestamp
    )
    expected = msgspec.structs.replace(frame, media=body, sequence_number=sequence_number)
    try:
        return last > begin and parse(bytes(probe)) == expected
    except WireError:
        return False
