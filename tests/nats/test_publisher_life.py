"""What fails in the publisher's thread is said and counted, and costs no more than itself; without a server."""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from media.nats.config import ServerOptions
from media.nats.intake import Outgoing
from media.nats.message import Message
from media.nats.names import Place, message_id
from media.nats.outbox import Outbox
from media.nats.process import Publishing, _ReportHandler
from media.nats.publisher import Publisher
from media.nats.spool import Spool
from media.nats.waiting import Limits
from strep.clock import NEVER_NS, SystemClock
from tests.nats.nats_server import free_port
from tests.patience import PATIENCE_S

pytest.importorskip("nats")


def message(number: int) -> Message:
    return Message("s", message_id("c", "event", Place(1, number)), b"x")


class FailingIntake:
    """Raises instead of giving something, some times; then it gives messages, and has no more."""

    def __init__(self, failures: int) -> None:
        self.failures, self.numbers = failures, [0, 1]

    @property
    def has_more(self) -> bool:
        return bool(self.numbers)

    @property
    def is_over(self) -> bool:
        return not self.has_more

    def take(self, now_ns: int) -> list[Outgoing]:
        if self.failures:
            self.failures -= 1
            raise ValueError("a bundle that is none")
        return [Outgoing(message(self.numbers.pop(0)))]

    def answered(self, outgoing: Outgoing, *, is_taken: bool) -> None:
        assert is_taken

    def deadline(self) -> int:
        return NEVER_NS


def publisher(outbox: Outbox) -> Publisher:
    server = ServerOptions((f"nats://127.0.0.1:{free_port()}",))
    return Publisher(server, {"name": "STREP"}, outbox, SystemClock())


def spooled(directory: Path) -> list[str]:
    spool, found = Spool.open(directory, 1 << 20), list[str]()
    while spool.unread_bytes:
        found += [one.message_id for one in spool.read(0, 0)]
    spool.close()
    return found


def test_an_intake_that_fails_is_asked_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made, intake = publisher(Outbox(Limits(), Spool.open(tmp_path, 1 << 20))), FailingIntake(1)
    made.start(intake)  # type: ignore[arg-type]
    while not intake.is_over:
        pass
    made.request_stop(0)
    assert made.join(PATIENCE_S)
    assert made.snapshot()["intake_errors"] == 1
    assert "a bundle that is none" in caplog.text
    assert spooled(tmp_path) == [message(number).message_id for number in range(2)]


@pytest.mark.parametrize("failing", ["_take_rest", "_pause"])
def test_memory_is_spooled_whatever_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, failing: str
) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(Publisher, failing, fail)
    made, intake = publisher(Outbox(Limits(), Spool.open(tmp_path, 1 << 20))), FailingIntake(0)
    intake.numbers = []
    made.offer([message(0)])
    made.request_stop(0)
    if failing == "_pause":
        made._stop_ns = None
    made.start(intake)  # type: ignore[arg-type]
    assert made.join(PATIENCE_S)
    assert "a bug" in caplog.text
    assert spooled(tmp_path) == [message(0).message_id]


def test_the_process_ends_with_its_publisher() -> None:
    """And another one is started."""
    publishing = Publishing.__new__(Publishing)
    publishing.publisher = publisher(Outbox(Limits()))
    assert not publishing.take(io.BytesIO(b"rubbish that nobody reads"))


def test_reports_have_where_it_was_raised() -> None:
    said: list[dict[str, Any]] = []
    try:
        raise ValueError("a bug")
    except ValueError:
        record = logging.LogRecord("a", logging.ERROR, __file__, 1, "it failed", None, sys.exc_info())
    _ReportHandler(said.append).emit(record)
    text = said[0]["log"]["text"]
    assert text.startswith("it failed\nTraceback")
    assert text.endswith("ValueError: a bug")
