"""Deepgram's live protocol, one message at a time."""

from __future__ import annotations

import json

import numpy as np
import pytest

from media.transcribing.contract import Result, Word
from media.transcribing.engines.listen_protocol import (
    FINALIZE,
    FINALIZE_NS,
    KEEP_ALIVE,
    KEEP_ALIVE_NS,
    MAX_KEPT_S,
    ListenProtocol,
)
from strep.errors import WireError

SECOND = np.arange(8000, dtype=np.int16)


def results(text: str, start: float, duration: float, *, is_final: bool = True, from_finalize: bool = False) -> str:
    """As in the reference's example of a Results message."""
    words = [
        {"word": word.lower(), "punctuated_word": word, "start": start, "end": start + duration, "confidence": 0.5}
        for word in text.split()
    ]
    return json.dumps(
        {
            "type": "Results", "channel_index": [0, 1], "start": start, "duration": duration, "is_final": is_final,
            "speech_final": False, "from_finalize": from_finalize,
            "channel": {"alternatives": [{"transcript": text, "confidence": 0.75, "words": words}]},
        }
    )  # fmt: skip


def connected() -> ListenProtocol:
    protocol = ListenProtocol(8000)
    protocol.connected(0)
    return protocol


def test_audio_goes_up_once_little_endian() -> None:
    protocol = ListenProtocol(8000)
    protocol.give(SECOND)
    assert protocol.has_something_to_say
    assert protocol.to_send(0) == []
    protocol.connected(0)
    assert protocol.to_send(0) == [SECOND.astype("<i2").tobytes()]
    assert protocol.to_send(0) == []


def test_results_come_down_in_samples_that_were_given() -> None:
    protocol = connected()
    protocol.give(SECOND)
    protocol.to_send(0)
    [partial] = protocol.receive(results("Hello", 0.25, 0.5, is_final=False))
    assert partial == Result("Hello", False, [Word("Hello", 2000, 6000, 0.5)], 0.75)
    [final] = protocol.receive(results("Hello", 0.0, 1.0))
    assert final.is_final


def test_a_pause_asks_for_what_is_final_and_waits_for_it() -> None:
    protocol = connected()
    protocol.give(SECOND)
    protocol.finish()
    assert not protocol.is_settled
    assert protocol.to_send(0)[-1] == FINALIZE
    assert not protocol.is_settled
    assert protocol.receive(results("", 0.0, 0.4)) == []
    assert not protocol.is_settled
    protocol.receive(results("Bye", 0.4, 0.3, from_finalize=True))
    assert protocol.is_settled


def test_a_result_of_all_there_was_is_an_answer_too_and_so_is_silence_after_a_while() -> None:
    for answer in (True, False):
        protocol = connected()
        protocol.give(SECOND)
        protocol.finish()
        protocol.to_send(0)
        if answer:
            protocol.receive(results("Bye", 0.0, 0.9))
        protocol.poll(FINALIZE_NS - 1)
        assert protocol.is_settled == answer
        protocol.poll(FINALIZE_NS)
        assert protocol.is_settled


def test_a_pause_of_nothing_asks_for_nothing() -> None:
    protocol = connected()
    protocol.finish()
    assert protocol.is_settled
    assert protocol.to_send(0) == []


def test_a_silent_connection_is_kept_alive() -> None:
    protocol = connected()
    assert protocol.to_send(KEEP_ALIVE_NS - 1) == []
    assert protocol.to_send(KEEP_ALIVE_NS) == [KEEP_ALIVE]
    assert protocol.to_send(2 * KEEP_ALIVE_NS - 1) == []


def test_the_next_connection_gets_what_is_not_final_and_counts_from_there() -> None:
    protocol = connected()
    for _ in range(3):
        protocol.give(SECOND)
    protocol.finish()
    protocol.to_send(0)
    protocol.receive(results("One", 0.0, 1.0))
    protocol.disconnected()
    assert protocol.has_something_to_say
    protocol.connected(0)
    sent = protocol.to_send(0)
    assert sent == [SECOND.astype("<i2").tobytes()] * 2 + [FINALIZE]
    [two] = protocol.receive(results("Two", 0.5, 0.5, from_finalize=True))
    assert two.words == [Word("Two", 8000 + 4000, 8000 + 8000, 0.5)]
    assert protocol.is_settled


def test_what_is_kept_is_bounded() -> None:
    protocol = ListenProtocol(8000)
    for _ in range(MAX_KEPT_S + 2):
        protocol.give(SECOND)
    assert protocol.dropped_samples == 2 * 8000
    protocol.connected(0)
    assert len(protocol.to_send(0)) == MAX_KEPT_S


@pytest.mark.parametrize("message", ['{"type": "Metadata"}', '{"type": "SpeechStarted", "timestamp": 1}'])
def test_other_messages_say_nothing(message: str) -> None:
    assert connected().receive(message) == []


@pytest.mark.parametrize(
    "message", ["", "[]", "7", '{"type": "Results"}', '{"type": "Results", "channel": {"alternatives": []}}', b"\xff"]
)
def test_rubbish_is_a_wire_error(message: str | bytes) -> None:
    with pytest.raises(WireError, match="no result"):
        connected().receive(message)
