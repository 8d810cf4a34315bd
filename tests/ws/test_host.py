from __future__ import annotations

from media.ws.host import StreamHandle, StreamHost, StreamRefused
from strep.errors import StrepError
from tests.ws.fakes import FakeHandle, FakeHost


def test_the_fake_is_a_host() -> None:
    host: StreamHost = FakeHost()
    handle: StreamHandle = FakeHandle("x")
    assert host
    assert handle.sequencer


def test_refusal_carries_code_and_reason() -> None:
    refusal = StreamRefused(1013, "try again later")
    assert isinstance(refusal, StrepError)
    assert (refusal.close_code, refusal.reason, str(refusal)) == (1013, "try again later", "try again later")
