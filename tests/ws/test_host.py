from __future__ import annotations

from media.codecs import PCMU
from media.ws.chunks import ChunkSequencer
from media.ws.host import Handshake, StreamHandle, StreamHost, StreamRefused, StreamStart
from strep.errors import StrepError
from tests.ws.fakes import FakeHost


def test_the_fake_is_a_host() -> None:
    host: StreamHost = FakeHost()
    start = StreamStart("x", PCMU)
    handle: StreamHandle = host.stream_started(start, 0)
    assert isinstance(handle.sequencer, ChunkSequencer)
    assert host.stream_started(start, 1) is handle, "the same stream again goes on"


def test_secrets_are_not_shown() -> None:
    start = StreamStart("x", PCMU, handshake=Handshake(credentials=("tok",)))
    assert "tok" not in repr(start)


def test_refusal_carries_code_and_reason() -> None:
    refusal = StreamRefused(1013, "try again later")
    assert isinstance(refusal, StrepError)
    assert (refusal.close_code, refusal.reason, str(refusal)) == (1013, "try again later", "try again later")
