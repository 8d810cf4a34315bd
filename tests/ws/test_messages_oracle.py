"""Media frames with the standard library as referee."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from media.ws.messages import Media, parse, serialize
from tests.ws.reasons import reason

MAX = (1 << 63) - 1


def oracle(message: str) -> tuple[Any, ...] | str:
    """Read a media frame with nothing but the standard library."""

    def counter(value: Any) -> int | None:
        if value is None:
            return None
        if isinstance(value, str):
            if not value.isascii() or not value.isdecimal() or (value[0] == "0" and value != "0"):
                raise ValueError(value)
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX:
            raise ValueError(value)
        return value

    try:
        frame = json.loads(message)
        body = frame["media"]
        payload = base64.b64decode(body["payload"], validate=True)
        numbers = [
            counter(part.get(name))
            for part, name in ((body, "chunk"), (body, "timestamp"), (frame, "sequence_number"))
        ]
        return payload, body.get("track"), *numbers, frame.get("stream_id")
    except (ValueError, KeyError, TypeError, AttributeError):
        return "BAD_FIELD"


COUNTERS = (
    st.none()
    | st.integers(-10, MAX + 10)
    | st.integers(0, 10**6).map(str)
    | st.sampled_from(["", "-1", "x", "1.5", "007", 4.5, -0.5, True, [], {}, str(MAX), str(MAX + 1)])
)
PAYLOADS = st.binary(max_size=400).map(lambda raw: base64.b64encode(raw).decode()) | st.text(
    "AZaz09+/=-_ é", max_size=12
)
BODIES = st.fixed_dictionaries(
    {"payload": PAYLOADS},
    optional={
        "track": st.sampled_from(["inbound", "outbound", "both", ""]),
        "chunk": COUNTERS,
        "timestamp": COUNTERS,
    },
)
FRAMES = st.fixed_dictionaries(
    {"event": st.just("media"), "media": BODIES},
    optional={"sequence_number": COUNTERS, "stream_id": st.text(max_size=40), "extra": st.none() | st.integers()},
)


class TestAgainstTheStandardLibrary:
    @given(FRAMES, st.booleans())
    def test_media(self, frame: dict[str, Any], ensure_ascii: bool) -> None:
        message = json.dumps(frame, ensure_ascii=ensure_ascii)
        expected = oracle(message)
        if isinstance(expected, str):
            assert reason(message) == expected
            return
        parsed = parse(message)
        assert isinstance(parsed, Media)
        body = parsed.media
        found = (body.payload, body.track, body.chunk, body.timestamp, parsed.sequence_number, parsed.stream_id)
        assert found == expected
        assert parse(message.encode()) == parsed
        assert parse(serialize(parsed)) == parsed
        assert oracle(serialize(parsed).decode()) == expected
