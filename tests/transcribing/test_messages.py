"""What server and worker say: whole, in pieces, and with rubbish."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.transcribing.contract import Result, Word
from media.transcribing.messages import (
    MAX_MESSAGE_BYTES,
    Close,
    Done,
    Finish,
    Give,
    Order,
    Parser,
    Ready,
    Refused,
    Reply,
    Said,
    Setup,
    serialize,
)

ORDERS: list[Order] = [
    Setup("vosk", {"model": "a b", "words": "ja|nein"}),
    Give(1, 7, 8000, bytes(range(256)) * 4),
    Finish(2, 7),
    Close(7),
]
REPLIES: list[Reply] = [
    Ready(16_000),
    Refused("no model"),
    Done(1, 7, [Result("ä", True, [Word("ä", 0, 5, 0.25), Word("b", 5, 9)], 0.5)], settled=False),
    Said(7, [Result("b", False, [])], error="oh"),
]


@given(cuts=st.lists(st.integers(0, 2000), max_size=20))
def test_any_cut(cuts: list[int]) -> None:
    for messages, read in ((ORDERS, Parser().orders), (REPLIES, Parser().replies)):
        data = b"".join(map(serialize, messages))
        edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
        pieces = [data[a:b] for a, b in itertools.pairwise(edges)]
        assert [message for piece in pieces for message in read(piece)] == messages


@pytest.mark.parametrize(
    "rubbish",
    [
        (MAX_MESSAGE_BYTES + 1).to_bytes(4, "big"),
        b"\x00\x00\x00\x03abc",
        b"\x00\x00\x00\x01\x80",
        serialize(Give(1, 7, 8000, b"")),
    ],
)
def test_rubbish_is_an_error(rubbish: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        list(Parser().replies(rubbish))
