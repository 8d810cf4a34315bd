"""Media streams as bytes, written beforehand: what one WebSocket client per call sends, masked, ready to go.

The frames are those of the simulated carrier (`media.carrier.stream`), to the byte. All calls do the same at
different times, so the first call's frames are templates: the k-th frame of the others differs in stream_id and
payload alone, which are filled in for all calls at once.
"""

from __future__ import annotations

from binascii import b2a_base64
from gc import collect
from math import gcd

import msgspec
import numpy as np
from numpy.typing import NDArray

from media.carrier.options import SimulationOptions, Transport
from media.carrier.plan import Plan, make_plan
from media.carrier.stream import MediaStream
from strep.clock import NS_PER_SECOND

PTIME_MS = 20
FRAMES_PER_SECOND_PER_CALL = 2 * 1000 // PTIME_MS
"""Two tracks."""

_FINAL_TEXT, _FINAL_CLOSE, _MASKED = 0x81, 0x88, 0x80
_UUID_CHARACTERS = 36
_LARGE, _LONG = 125, 126  # RFC 6455 section 5.2: what a length of one byte can say; two bytes follow


class StreamLoad(msgspec.Struct, frozen=True):
    """How many calls, and for how long.

    Attributes:
        calls: of two tracks each, a socket each.
        ramp_seconds: from the first call's beginning to the last one's.
        plateau_seconds: from there to the first call's end.
    """

    calls: int
    ramp_seconds: float
    plateau_seconds: float

    @property
    def frames_per_second(self) -> int:
        """Offered rate on the plateau."""
        return self.calls * FRAMES_PER_SECOND_PER_CALL

    @property
    def plateau_ns(self) -> tuple[int, int]:
        """From when to when, after the first call's beginning."""
        ramp_ns = round(self.ramp_seconds * NS_PER_SECOND)
        return ramp_ns, ramp_ns + round(self.plateau_seconds * NS_PER_SECOND)

    def plan(self) -> Plan:
        """Return everything that is sent; the same load gives the same bytes in every process."""
        turns = max(round(self.ramp_seconds * 1000 / PTIME_MS), 1)
        while gcd(turns, self.calls) > 1:  # so that the calls' frames lie evenly over 20 ms
            turns += 1
        options = SimulationOptions(
            transport=Transport.WEBSOCKET,
            calls=self.calls,
            seconds=self.ramp_seconds + self.plateau_seconds,
            stagger_ms=PTIME_MS * turns / self.calls,
            audio=None,  # a chord and noise of its own for every track
        )
        return make_plan(options)


class Frames:
    """All media frames of a plan in order of time, and what begins and ends a call.

    Attributes:
        data: all frames, one behind the other.
        times_ns: (n,) int64, when each is due.
        calls: (n,) int64, whose it is.
        starts, stops: (n,) int64, where in `data`.
        hello: per call, the bytes of its connected and start frames.
        goodbye: per call, its stop frame and the closing of the WebSocket.
        begin_ns, end_ns: per call, when its first frame and its goodbye are due.
    """

    def __init__(self, plan: Plan, seed: int = 1) -> None:
        """Write them; the masks are drawn with `seed`."""
        self._plan, self._random = plan, np.random.default_rng(seed)
        streams = [MediaStream(plan, call) for call in range(plan.options.calls)]
        self.hello = [self._one(s.writer.connected()) + self._one(s.text(0)) for s in streams]
        self.goodbye = [self._one(s.text(len(s) - 1)) + self._close() for s in streams]
        self.begin_ns = [plan.scripts[2 * call].start_ns for call in range(plan.options.calls)]
        self.end_ns = [int(stream.times_ns[-1]) for stream in streams]
        self._write_media(streams[0], [stream.text(0) for stream in streams])
        del streams
        collect()

    def __len__(self) -> int:
        """Return the number of media frames."""
        return len(self.times_ns)

    def _write_media(self, first: MediaStream, start_frames: list[str]) -> None:
        names = [msgspec.json.decode(text)["stream_id"] for text in start_frames]
        calls, rows = len(names), np.flatnonzero(first.is_media)
        identifiers = np.frombuffer("".join(names).encode(), np.uint8).reshape(calls, _UUID_CHARACTERS)
        payloads = [np.stack([self._plan.payloads(2 * call + d) for call in range(calls)]) for d in (0, 1)]
        taken, blocks = [0, 0], []
        for row in rows:
            text = first.text(int(row))
            direction = int('"outbound"' in text)
            encoded = _base64(payloads[direction][:, taken[direction]])
            taken[direction] += 1
            blocks.append(self._masked(_filled(text.encode(), names[0].encode(), identifiers, encoded)))
        lengths = np.array([block.shape[1] for block in blocks])
        self.data = np.concatenate([block.ravel() for block in blocks])
        # Row by row, and in a row call by call; then all in the order of time.
        begins = np.cumsum(lengths * calls) - lengths * calls
        starts = (begins[:, None] + lengths[:, None] * np.arange(calls)).ravel()
        offsets_ns = first.times_ns[rows] - self.begin_ns[0]
        times_ns = (offsets_ns[:, None] + np.array(self.begin_ns)).ravel()
        order = np.argsort(times_ns, kind="stable")
        self.times_ns, self.starts = times_ns[order], starts[order]
        self.stops = self.starts + np.repeat(lengths, calls)[order]
        self.calls = np.tile(np.arange(calls), len(rows))[order]

    def _masked(self, texts: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return (calls, n) uint8: frames of these texts, each with a mask of its own."""
        calls, length = texts.shape
        head = (
            [_FINAL_TEXT, _MASKED | length]
            if length <= _LARGE
            else [_FINAL_TEXT, _MASKED | _LONG, *length.to_bytes(2)]
        )
        keys = self._random.integers(0, 256, (calls, 4), np.uint8)
        body = texts ^ np.tile(keys, (1, length // 4 + 1))[:, :length]
        return np.concatenate([np.tile(np.array(head, np.uint8), (calls, 1)), keys, body], axis=1)

    def _one(self, text: str | bytes | None) -> bytes:
        assert isinstance(text, str)
        return self._masked(np.frombuffer(text.encode(), np.uint8)[None, :]).tobytes()

    @staticmethod
    def _close() -> bytes:
        return bytes([_FINAL_CLOSE, _MASKED | 2, 0, 0, 0, 0]) + (1000).to_bytes(2)


def _base64(payloads: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (n, characters) uint8: base64 of each row."""
    count, size = payloads.shape
    padding = -size % 3
    whole = np.concatenate([payloads, np.zeros((count, padding), np.uint8)], axis=1)
    text = np.frombuffer(b2a_base64(whole.tobytes(), newline=False), np.uint8).reshape(count, -1).copy()
    if padding:
        text[:, -padding:] = ord("=")
    return text


def _filled(
    template: bytes, name: bytes, identifiers: NDArray[np.uint8], payloads: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Return (calls, n) uint8: the template with every call's stream_id and payload."""
    rows = np.tile(np.frombuffer(template, np.uint8), (len(identifiers), 1))
    for place, columns in ((template.index(name), identifiers), (template.index(b'"payload":"') + 11, payloads)):
        rows[:, place : place + columns.shape[1]] = columns
    return rows
