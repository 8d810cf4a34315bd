"""`Selection`: which calls, which tracks of them, at which rate and in which format somebody wants.

Written as the query of a URL, everywhere the same: ``calls=*&track=both&rate=16000&format=int16``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeVar
from urllib.parse import parse_qsl, urlencode

from media.feed.wire import SampleFormat
from strep.header import Direction

RATES_HZ = (8000, 16_000, 24_000)
NATIVE = "native"
ALL_CALLS = "*"
NEXT_CALL = "next"
"""In the path of a URL, in place of a call's id: the next call that starts."""
MAX_PATTERN_LENGTH = 256
BOTH = (Direction.INBOUND, Direction.OUTBOUND)

_TRACKS = {"both": BOTH, "inbound": (Direction.INBOUND,), "outbound": (Direction.OUTBOUND,)}
_FORMATS = {"int16": SampleFormat.INT16, "float32": SampleFormat.FLOAT32, "mulaw": SampleFormat.MULAW}
_RATE = re.compile(r"(\d{1,6})(k?)", re.ASCII)


T = TypeVar("T")


class SelectionError(ValueError):
    """A selection that cannot be; the text names the parameter and what may be given."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which audio, and how.

    Attributes:
        calls: a call id, or a pattern with ``*``, ``?`` and ``[...]`` as in file names; case counts.
        tracks: one or both, inbound first.
        rate_hz: 8000, 16000 or 24000; None is each call's own.
        format: of the samples.
    """

    calls: str = ALL_CALLS
    tracks: tuple[Direction, ...] = BOTH
    rate_hz: int | None = None
    format: SampleFormat = SampleFormat.INT16

    def wants(self, call_id: str) -> bool:
        """Whether a call is among those that are wanted."""
        return self.calls in (ALL_CALLS, call_id) or fnmatchcase(call_id, self.calls)

    def rate_of(self, call_rate_hz: int) -> int:
        """Return the rate at which a call is wanted whose own is `call_rate_hz`."""
        return self.rate_hz or call_rate_hz

    def describe(self) -> str:
        """Return the selection as text; `parse` takes it back."""
        track = next(name for name, tracks in _TRACKS.items() if tracks == self.tracks)
        form = next(name for name, value in _FORMATS.items() if value == self.format)
        return urlencode(
            {"calls": self.calls, "track": track, "rate": self.rate_hz or NATIVE, "format": form}, safe="*?[]"
        )

    @classmethod
    def parse(cls, text: str) -> Selection:
        """Return the selection that a query means, such as ``track=inbound&rate=16000``; the rest is as by default.

        Raises:
            SelectionError: there is no such parameter or value, or one is given twice.
        """
        return cls.of(parse_qsl(text, keep_blank_values=True))

    @classmethod
    def of(cls, given: Mapping[str, str] | Iterable[tuple[str, str]]) -> Selection:
        """Return the selection of parameters that are apart already; raises as `parse`."""
        pairs = list(given.items() if isinstance(given, Mapping) else given)
        parameters = dict(pairs)
        unknown = parameters.keys() - {"calls", "track", "rate", "format"}
        if unknown:
            raise SelectionError(f"{min(unknown)}: no such parameter; there are calls, track, rate and format")
        if len(parameters) < len(pairs):
            raise SelectionError("a parameter is given twice")
        return cls(
            _calls(parameters.get("calls", ALL_CALLS)),
            _one_of(_TRACKS, "track", parameters.get("track", "both")),
            _rate_hz(parameters.get("rate", NATIVE)),
            _one_of(_FORMATS, "format", parameters.get("format", "int16")),
        )


def _calls(text: str) -> str:
    if not 0 < len(text) <= MAX_PATTERN_LENGTH:
        raise SelectionError(f"calls: {len(text)} characters; a call id or a pattern has 1 to {MAX_PATTERN_LENGTH}")
    return text


def _rate_hz(text: str) -> int | None:
    if text.lower() == NATIVE:
        return None
    match = _RATE.fullmatch(text.lower())
    rate_hz = int(match[1]) * (1000 if match[2] else 1) if match else 0
    if rate_hz not in RATES_HZ:
        raise SelectionError(f"rate: {text!r} is not one of {', '.join(map(str, RATES_HZ))} and {NATIVE}")
    return rate_hz


def _one_of(known: Mapping[str, T], name: str, text: str) -> T:
    found = known.get(text.lower())
    if found is None:
        raise SelectionError(f"{name}: {text!r} is not one of {', '.join(known)}")
    return found
