"""Frames of media streams that are nearly right: wrong as JSON, as messages, or as frames of a WebSocket."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from media.ws.dialects.choosing import DIALECTS
from media.ws.dialects.dialect import Dialect
from media.ws.dialects.signalwire_tap import SIGNALWIRE_TAP
from media.ws.messages import CarrierFrame, Mark, MarkBody, Media, MediaBody, MediaFormat, Start, StartBody, Stop
from tests.ws.dialects.documents import CONVERSATIONS

Message = str | bytes
VALUES: list[Any] = [
    None, True, -1, 0, 0.5, 2**31, 2**63, 2**64, 10**400, "9" * 400, 1e308, float("nan"), float("inf"), "", " ",
    "1e9", "\x00", "\ud800", "ä" * 50, "0x10", "inbound", "outbound", "PCMA", "L16", "OPUS", [], [[]], {}, {"": {}},
    "=", "A", "AAA=", "////", "QUJD\n", "_-_-", "a" * 20_000, ["x"] * 300,
]  # fmt: skip
DEEP = ('"@"', "[" * 3000, '"' + "[" * 10, '{"a":' * 1500)
OPCODES = (0x0, 0x1, 0x2, 0x3, 0x7, 0x8, 0x9, 0xA, 0xB, 0xF)


def _said(dialect: Dialect, frame: CarrierFrame) -> Message:
    message = dialect.serialize(frame)
    return message.decode() if isinstance(message, bytes) and dialect is not SIGNALWIRE_TAP else message


def started(dialect: Dialect, stream_id: str) -> Message:
    """Return what begins a stream."""
    name = "audio/mulaw;rate=8000" if dialect is SIGNALWIRE_TAP else "PCMU"
    return _said(dialect, Start(StartBody(MediaFormat(name, 8000, 1)), stream_id, 1))


def chunk(dialect: Dialect, stream_id: str, number: int, payload: bytes, track: str = "inbound") -> Message:
    """Return a chunk of audio."""
    body = MediaBody(payload, track, number, 20 * (number - 1))
    return _said(dialect, Media(body, stream_id, number + 1))


def proper(dialect: Dialect, stream_id: str, number: int, random: Random) -> Message:
    """Return something that a carrier may say in a stream: mostly audio."""
    if random.random() < 0.7:
        return chunk(dialect, stream_id, number, random.randbytes(160), random.choice(("inbound", "outbound")))
    if random.random() < 0.02 and dialect.has_stop:
        return _said(dialect, Stop(None, stream_id, number))
    if random.random() < 0.5 and dialect.mark is not None:
        return _said(dialect, Mark(MarkBody("m"), stream_id, number))
    return random.choice(CONVERSATIONS[random.choice(DIALECTS) if random.random() < 0.2 else dialect])


def mutated(message: Message, random: Random) -> Message:
    """Return `message` with something wrong in it."""
    if isinstance(message, bytes):
        return random.choice((message[: random.randrange(200)], message * 60, b"", message.hex()))
    kind = random.randrange(6)
    if kind == 0:
        return message[: random.randrange(len(message) + 1)]
    if kind == 1:
        raw = bytearray(message.encode())
        for _ in range(random.randint(1, 3)):
            raw[random.randrange(len(raw))] = random.randrange(256)
        return raw.decode(errors=random.choice(("replace", "ignore")))
    if kind == 2:
        at = random.randrange(len(message))
        return (
            message[:at] + random.choice(("{", "}", '"', "\\", ",", "[" * 3000, "\\ud800", "9" * 50)) + message[at:]
        )
    if kind == 3:
        return message.encode()
    return _other_value(message, random)


def _other_value(message: str, random: Random) -> str:
    try:
        document = json.loads(message)
    except ValueError:
        return message + "x"
    where: Any = document
    while isinstance(where, dict) and where:
        name = random.choice(list(where))
        if isinstance(where[name], dict) and where[name] and random.random() < 0.7:
            where = where[name]
            continue
        if random.random() < 0.15:
            del where[name]
        elif random.random() < 0.15:
            where[random.choice(("", "event", "payload", "chunk", "start", "streamSid"))] = random.choice(VALUES)
        else:
            where[name] = "@" if random.random() < 0.05 else random.choice(VALUES)
        break
    text = json.dumps(document, ensure_ascii=True)
    return text.replace(DEEP[0], random.choice(DEEP[1:])) if '"@"' in text else text


def frame(
    payload: bytes, random: Random, *, first: int = 0x81, length: bytes | None = None, mask: int = 0x80
) -> bytes:
    """Return a masked frame; `length` is what its head says instead of the truth, `mask` 0 is none."""
    size = len(payload)
    if length is None:
        length = bytes((size,)) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
        length = length if size < 1 << 16 else b"\x7f" + size.to_bytes(8, "big")
    key = random.randbytes(4)
    head = bytes((first, length[0] | mask)) + length[1:]
    if not mask:
        return head + payload
    repeated = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    return head + key + (int.from_bytes(payload, "big") ^ repeated).to_bytes(size, "big")


def whole(message: Message, random: Random) -> bytes:
    """Return `message` in one frame that is right."""
    text = message.encode("utf-8", "surrogatepass") if isinstance(message, str) else message
    return frame(text, random, first=0x81 if isinstance(message, str) else 0x82)


def broken(message: Message, random: Random) -> bytes:
    """Return frames for `message` of which something is wrong, or seldom."""
    text = message.encode("utf-8", "surrogatepass") if isinstance(message, str) else message
    first = 0x81 if isinstance(message, str) else 0x82
    match random.randrange(11):
        case 0:  # fragments, with a ping between
            cuts = sorted(random.randrange(len(text) + 1) for _ in range(random.randint(1, 4)))
            parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
            frames = [frame(part, random, first=(first & 0xF) * (not i)) for i, part in enumerate(parts)]
            frames.insert(random.randint(1, len(frames)), frame(b"p", random, first=0x89))
            return b"".join(frames) + frame(b"", random, first=0x80)
        case 1:
            return frame(text, random, first=random.randrange(256))
        case 2:
            return frame(text, random, first=first, mask=0)
        case 3:
            return frame(text, random, first=first, length=bytes((random.randrange(128),)) + random.randbytes(2))
        case 4:
            return frame(text, random, first=first, length=b"\x7f" + random.randbytes(8))
        case 5:
            return frame(random.randbytes(random.randrange(140)), random, first=0x80 | random.choice(OPCODES))
        case 6:
            return frame(random.randbytes(2) + b"bye", random, first=0x88)
        case 7:
            return frame(text[:40] + b"\xff\xc3", random, first=0x81)
        case 8:
            return frame(b"p", random, first=0x89) * random.randint(1, 30)
        case 9:
            return random.randbytes(random.randrange(60))
        case _:
            whole_frame = bytearray(frame(text, random, first=first))
            whole_frame[random.randrange(len(whole_frame))] ^= 1 << random.randrange(8)
            return bytes(whole_frame)
