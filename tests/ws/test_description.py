from __future__ import annotations

import json
from typing import Any

import pytest

from media.ws.description import MAX_DEPTH, MAX_TEXT_CHARACTERS, announced_tracks, event, identity
from media.ws.messages import Dtmf, DtmfBody, Error, ErrorBody, Mark, MarkBody, StartBody
from strep.header import Direction


class TestIdentity:
    def test_everything_that_was_said(self) -> None:
        body = StartBody(
            user_id="u", call_control_id="v3:c", call_session_id="s", from_="+15550100", to="sip:x@y",
            tags=["desk"], client_state="c3RhZ2U9MQ==", custom_parameters={"tenant": "t9"},
        )  # fmt: skip
        assert identity(body) == {
            "user_id": "u", "call_control_id": "v3:c", "call_session_id": "s", "from": "+15550100", "to": "sip:x@y",
            "tags": ["desk"], "client_state": "c3RhZ2U9MQ==", "custom_parameters": {"tenant": "t9"},
        }  # fmt: skip

    def test_nothing_that_was_not(self) -> None:
        assert identity(StartBody()) == {}

    def test_list_of_parameters(self) -> None:
        parameters = [{"name": "tenant", "value": "t9"}]
        assert identity(StartBody(custom_parameters=parameters)) == {"custom_parameters": parameters}

    @pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: {"k": value}])
    def test_depth_is_bounded(self, wrap: Any) -> None:
        nested: Any = "x"
        for _ in range(500):
            nested = wrap(nested)
        shallow = identity(StartBody(tags=nested))["tags"]
        for _ in range(MAX_DEPTH):
            shallow = shallow[0] if isinstance(shallow, list) else shallow["k"]
        assert isinstance(shallow, str)
        assert json.loads(shallow)


class TestEvents:
    def test_dtmf(self) -> None:
        frame = Dtmf(DtmfBody("5"), "2026-02-03T10:11:12.345678Z", "s", 90)
        expected = {"digit": "5", "occurred_at": "2026-02-03T10:11:12.345678Z", "sequence_number": 90}
        assert event(frame) == {"event": "dtmf", **expected}

    @pytest.mark.parametrize(
        ("track", "told"), [("outbound", {"track": "outbound"}), ("left", {}), ("inbound_track", {})]
    )
    def test_the_track_of_a_digit_has_one_of_two_names(self, track: str, told: dict[str, str]) -> None:
        assert event(Dtmf(DtmfBody("5", track))) == {"event": "dtmf", "digit": "5", **told}

    def test_mark(self) -> None:
        assert event(Mark(MarkBody("m"))) == {"event": "mark", "name": "m"}

    @pytest.mark.parametrize(
        "frame", [Error(error=ErrorBody("100005", "rate")), Error(payload=ErrorBody(100005, "rate"))]
    )
    def test_error_of_either_shape(self, frame: Error) -> None:
        assert event(frame) == {"event": "error", "code": 100005, "title": "rate"}


@pytest.mark.parametrize(
    ("tracks", "expected"),
    [
        (None, ()),
        ("inbound", ()),
        (["outbound", "inbound", "inbound"], (Direction.INBOUND, Direction.OUTBOUND)),
        (["outbound", "x", 5, None, [], {}], (Direction.OUTBOUND,)),
    ],
)
def test_announced_tracks(tracks: Any, expected: tuple[Direction, ...]) -> None:
    assert announced_tracks(tracks) == expected


def test_texts_of_events_are_bounded() -> None:
    """They are kept as long as the call, thousands of them."""
    long = "x" * 1_000_000
    frames: list[Mark | Dtmf | Error] = [
        Mark(MarkBody(long)),
        Dtmf(DtmfBody(long, track=long), occurred_at=long),
        Error(error=ErrorBody(long, long, long)),
    ]
    for frame in frames:
        texts = [value for value in event(frame).values() if isinstance(value, str)]
        assert max(map(len, texts)) == MAX_TEXT_CHARACTERS
    assert event(Mark(MarkBody("x" * MAX_TEXT_CHARACTERS)))["name"] == "x" * MAX_TEXT_CHARACTERS
