"""What the stream is like, what it may be like, and what the server says of messages."""

from __future__ import annotations

import base64
import json

import pytest

from media.nats.answers import Last, Refused, Stored, parse_answer
from media.nats.names import Place, Subjects
from media.nats.stream import StreamOptions, covers, differences, discarded_early, wanted

WANTED = wanted(StreamOptions(), Subjects())
FOUND = WANTED | {"max_msgs": -1, "max_msg_size": -1, "sealed": False, "max_consumers": -1}


class TestDifferences:
    def test_none(self) -> None:
        assert differences(WANTED, FOUND) == []
        assert differences(WANTED, FOUND | {"subjects": ["strep.>", "other"]}) == []

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"max_age": 0}, "max_age is 0ms, not 1h"),
            ({"max_bytes": -1}, "max_bytes is -1, not 10GiB"),
            ({"retention": "workqueue"}, "retention is workqueue, not limits"),
            ({"discard": "new"}, "discard is new, not old"),
            ({"storage": "memory"}, "storage is memory, not file"),
            ({"num_replicas": 3}, "num_replicas is 3, not 1"),
            ({"duplicate_window": 1_000_000_000}, "duplicate_window is 1s, not 2m"),
            ({"subjects": ["strep.pcm.>"]}, "subjects are strep.pcm.>, without strep.events.>"),
            ({"sealed": True}, "sealed is set"),
            ({"no_ack": True}, "no_ack is set"),
            ({"max_msg_size": 1000}, "max_msg_size is 1000, less than 528384"),
        ],
    )
    def test_one(self, change: dict[str, object], says: str) -> None:
        assert differences(WANTED, FOUND | change) == [says]

    @pytest.mark.parametrize(
        ("pattern", "other", "does"),
        [
            (">", "a.>", True),
            ("a.>", "a.b.>", True),
            ("a.*", "a.b", True),
            ("a.*", "a.>", False),
            ("a.b", "a.*", False),
            ("a", "a.>", False),
            ("a.b.>", "a.>", False),
            ("*.b.>", "a.b.>", True),
        ],
    )
    def test_covers(self, pattern: str, other: str, does: bool) -> None:
        assert covers(pattern, other) == does

    def test_window_is_no_longer_than_the_age(self) -> None:
        short = wanted(StreamOptions(max_age_s=60), Subjects())
        assert short["duplicate_window"] == short["max_age"]


class TestDiscardedEarly:
    CONFIG = WANTED | {"max_bytes": 1 << 20}

    def test_full(self) -> None:
        said = discarded_early({"first_seq": 9, "bytes": 1 << 20}, self.CONFIG, 42.0)
        assert said == "stream STREP is full (1MiB): the oldest message is 42 s old where 1h were to be kept"

    @pytest.mark.parametrize(
        ("state", "age_s"),
        [
            ({"first_seq": 1, "bytes": 1 << 20}, 42.0),
            ({"first_seq": 0, "bytes": 0}, 0.0),
            ({"first_seq": 9, "bytes": 1000}, 42.0),
            ({"first_seq": 9, "bytes": 1 << 20}, 3600.0),
        ],
    )
    def test_not_full(self, state: dict[str, int], age_s: float) -> None:
        assert discarded_early(state, self.CONFIG, age_s) == ""


class TestAnswers:
    def test_stored(self) -> None:
        assert parse_answer(b'{"stream":"STREP", "seq":12}') == Stored()
        assert parse_answer(b'{"stream":"STREP", "seq":12,"duplicate": true}') == Stored()

    def test_refused(self) -> None:
        data = b'{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"S","seq":0}'
        assert parse_answer(data) == Refused("maximum bytes exceeded (10077)")

    def test_nobody(self) -> None:
        assert parse_answer(b"", "503") == Refused(
            "nobody answers (status 503): no such stream, or JetStream is off", is_gone=True
        )

    def test_last(self) -> None:
        headers = base64.b64encode(b"NATS/1.0\r\nNats-Msg-Id: a.inbound.7.12\r\nX: y\r\n\r\n").decode()
        message = {"subject": "s", "seq": 1, "hdrs": headers, "data": base64.b64encode(b'"error"').decode()}
        assert parse_answer(json.dumps({"type": "t", "message": message}).encode()) == Last(Place(7, 12))
        del message["hdrs"]
        assert parse_answer(json.dumps({"type": "t", "message": message}).encode()) == Last(None)

    def test_no_last(self) -> None:
        data = b'{"error":{"code":404,"err_code":10037,"description":"no message found"}}'
        assert parse_answer(data) == Last(None)

    @pytest.mark.parametrize(
        "data",
        [
            b"x",
            b"[]",
            b'{"error":1}',
            b'{"message":1}',
            b'{"message":{"hdrs":"%"}}',
            b"{}",
            b'{"error":' + 5000 * b"[",
        ],
    )
    def test_rubbish(self, data: bytes) -> None:
        assert isinstance(parse_answer(data), Refused)
