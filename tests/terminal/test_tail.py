"""``strep tail``: what follows a server through its restarts, and what is written of it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from queue import Queue
from typing import Any

import click
import pytest
from click.testing import CliRunner

from media import cli
from media.terminal import watching
from media.terminal.client import Door, ServerRefuses, Unreachable, parse_events
from media.terminal.tail import json_line, plain_line
from media.terminal.watching import (
    PAUSES_S,
    Failed,
    FoundAgain,
    Happened,
    Lost,
    Message,
    Raised,
    Seen,
    Watcher,
    pauses,
)
from tests.media.serving import ENVIRONMENT
from tests.patience import PATIENCE_S
from tests.terminal.fake import FakeServer, call_of, fake_server

DIGIT = {"event": "dtmf", "call_id": "c1", "occurred_at": "2026-01-01T00:00:01.000Z", "digit": "5"}


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with fake_server() as fake:
        fake.calls = [call_of("c1")]
        yield fake


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits end at once."""
    monkeypatch.setattr(watching, "PAUSES_S", (0.0,))
    monkeypatch.setattr(watching, "LOOK_EVERY_S", 0.0)


def following(door: Any, *, looks: bool = False) -> Watcher:
    watcher = Watcher(door, "*", frozenset(), looks=looks)
    watcher.start()
    return watcher


def test_pauses_grow_to_a_bound() -> None:
    assert tuple(islice(pauses(), 3)) == (0.0, 0.0, 0.0)
    assert tuple(sorted(PAUSES_S)) == PAUSES_S


class TestWatcher:
    def test_through_a_restart(self, server: FakeServer) -> None:
        watcher = following(Door(server.url))
        server.events.put(DIGIT)
        server.events.put(None)
        server.events.put(DIGIT)
        messages = [watcher.messages.get(timeout=PATIENCE_S) for _ in range(4)]
        watcher.close()
        assert messages == [Happened(DIGIT), Lost("the server has stopped", 0.0), FoundAgain(), Happened(DIGIT)]

    def test_it_tries_until_somebody_answers(self) -> None:
        answers: Queue[Any] = Queue()
        for answer in ([DIGIT], Unreachable("refused"), ServerRefuses(503, "busy", "busy"), [], [DIGIT]):
            answers.put(answer)
        answers.put(ServerRefuses(401, "unauthorized", "no token"))
        watcher = following(Scripted(answers))
        kinds = [type(watcher.messages.get(timeout=PATIENCE_S)) for _ in range(9)]
        assert kinds == [Happened, Lost, Lost, Lost, FoundAgain, Lost, FoundAgain, Happened, Lost]
        last = watcher.messages.get(timeout=PATIENCE_S)
        assert isinstance(last, Failed)
        assert last.error.format_message() == "no token"

    def test_the_first_connection_must_be_had(self) -> None:
        watcher = following(Door("http://127.0.0.1:9"))
        message = watcher.messages.get(timeout=PATIENCE_S)
        assert isinstance(message, Failed)
        assert "is strep serve --http running there?" in message.error.format_message()

    def test_calls_and_alarms_are_asked_for(self, server: FakeServer) -> None:
        watcher = following(Door(server.url), looks=True)
        found = [watcher.messages.get(timeout=PATIENCE_S) for _ in range(2)]
        watcher.close()
        assert found == [Seen(1, server.calls, True), Raised({"status": "ok", "alarms": []})]

    def test_an_answer_that_makes_no_sense(self, server: FakeServer) -> None:
        server.get = lambda path, query: (200, [])  # type: ignore[method-assign]
        watcher = following(Door(server.url), looks=True)
        message = watcher.messages.get(timeout=PATIENCE_S)
        assert isinstance(message, Failed)
        assert "is not understood" in message.error.format_message()


class Scripted:
    """A door of which each connection is one of a list."""

    def __init__(self, answers: Queue[Any]) -> None:
        self._answers = answers

    def events(self, calls: str, kinds: Iterable[str]) -> Any:
        from contextlib import nullcontext

        answer = self._answers.get_nowait()
        if isinstance(answer, click.ClickException):
            raise answer
        return nullcontext(iter(answer))


class TestLines:
    def test_for_people_and_for_programs(self) -> None:
        messages: list[Message] = [
            Happened(DIGIT),
            Happened({"event": "dropped", "events": 3}),
            Lost("gone\x1b", 2.0),
            FoundAgain(),
        ]
        assert [plain_line(message) for message in messages] == [
            "00:00:01.000  c1  dtmf               5",
            "-- 3 events missed: too slow",
            "-- no connection: gone�; trying again in 2 s",
            "-- connected again; events of the time between are missing",
        ]
        documents = [json.loads(str(json_line(message))) for message in messages]
        assert documents[0] == DIGIT
        assert [document["event"] for document in documents] == [
            "dtmf", "dropped", "connection_lost", "connected_again",
        ]  # fmt: skip
        assert plain_line(Raised({})) is json_line(Raised({})) is None

    def test_a_stream_cut_anywhere_is_whole_events(self) -> None:
        text = b": still here\n\nevent: dtmf\ndata: " + json.dumps(DIGIT).encode() + b"\n\n"
        whole = list(parse_events(text.splitlines(keepends=True) * 2))
        assert whole == [DIGIT, DIGIT]
        for end in range(len(text)):
            assert list(parse_events(text[:end].splitlines(keepends=True))) == []
        with pytest.raises(ValueError, match="is no event"):
            list(parse_events([b"data: 5\n", b"\n"]))


def process(server: FakeServer, *arguments: str, stdout: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "media.cli", "tail", "--url", server.url, *arguments]
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, env=ENVIRONMENT | {"TERM": "xterm"})


class TestProcess:
    def test_lines_then_interrupted(self, server: FakeServer) -> None:
        with process(server, "--events", "dtmf", "--calls", "c*", stdout=subprocess.PIPE) as tail:
            server.events.put(DIGIT)
            assert tail.stdout is not None
            assert tail.stdout.readline() == b"00:00:01.000  c1  dtmf               5\n"
            tail.send_signal(signal.SIGINT)
            assert tail.wait(PATIENCE_S) == cli.INTERRUPTED
            assert tail.stderr is not None
            assert tail.stderr.read() == b""
        assert server.subscribed == [{"calls": ["c*"], "events": ["dtmf"]}]

    def test_who_reads_has_enough(self, server: FakeServer) -> None:
        with process(server, "--json", stdout=subprocess.PIPE) as tail:
            assert tail.stdout is not None
            server.events.put(DIGIT)
            assert json.loads(tail.stdout.readline()) == DIGIT
            tail.stdout.close()
            server.events.put(DIGIT)
            assert tail.wait(PATIENCE_S) == cli.OK
            assert tail.stderr is not None
            assert tail.stderr.read() == b""

    def test_a_screen_on_a_terminal_that_is_given_back(self, server: FakeServer) -> None:
        ours, theirs = pty.openpty()
        with process(server, stdout=theirs) as tail:
            os.close(theirs)
            server.events.put(DIGIT)
            seen = b""
            while not (b"c1" in seen and b"dtmf" in seen and b"1 calls" in seen):
                seen += os.read(ours, 65536)
            tail.send_signal(signal.SIGINT)
            with suppress(OSError):  # EIO: the other end is closed
                while more := os.read(ours, 65536):  # a terminal that nobody reads holds up who writes
                    seen += more
            assert tail.wait(PATIENCE_S) == cli.INTERRUPTED
            assert tail.stderr is not None
            assert tail.stderr.read() == b""
        os.close(ours)
        assert b"\x1b[?1049h" in seen, "the other screen"
        assert seen.rstrip().endswith(b"\x1b[?25h\x1b[?1049l"), "is left, and the cursor shown"

    def test_no_server(self) -> None:
        result = CliRunner().invoke(cli.strep, ["tail", "--url", "http://127.0.0.1:9"])
        assert result.exit_code == cli.FAILED
        assert "cannot reach 127.0.0.1:9: Connection refused" in result.output
