"""The engine against a scripted service on loopback: what is asked, what comes, and a connection that breaks."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve

from media.transcribing.contract import Recognizer, Result, TranscriptionError
from media.transcribing.engines import websocket
from media.transcribing.engines.listen_protocol import MAX_KEPT_S
from media.transcribing.engines.websocket import WebSocketEngine
from strep.clock import ManualClock
from strep.errors import ConfigurationError
from tests.patience import PATIENCE_S
from tests.transcribing.engines.test_listen_protocol import results

pytestmark = pytest.mark.realtime
PIECE = np.ones(4000, np.int16)


class Service:
    """Counts samples, and says how many there were when it is asked to finalize.

    Attributes:
        break_after: of each connection, samples after which it breaks; the next takes the next of them.
        refuse: answer the handshakes with this status.
        may_answer: what is final is said only while this is set.
    """

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.closed: list[str] = []
        self.break_after: list[int] = []
        self.refuse: HTTPStatus | None = None
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.url = ""

    async def answer(self, socket: ServerConnection) -> None:
        self.requests.append(socket.request)
        limit = self.break_after.pop(0) if self.break_after else 1 << 60
        samples = final = 0
        async for message in socket:
            if isinstance(message, bytes):
                samples += len(message) // 2
                if samples >= limit:
                    socket.transport.abort()
                    return
                await socket.send(results("so", final / 8000, (samples - final) / 8000, is_final=False))
                continue
            asked = json.loads(message)["type"]
            if asked == "Finalize":
                await asyncio.to_thread(self.may_answer.wait)
                text = f"{samples - final} samples"
                await socket.send(results(text, final / 8000, (samples - final) / 8000, from_finalize=True))
                final = samples
            elif asked == "CloseStream":
                self.closed.append("well")
                await socket.send(json.dumps({"type": "Metadata", "duration": samples / 8000}))
                return

    def process_request(self, connection: ServerConnection, request: Any) -> Any:
        return connection.respond(self.refuse, "no") if self.refuse else None


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "OPEN_TIMEOUT_S", PATIENCE_S)


@contextmanager
def serving() -> Iterator[Service]:
    """Run a service in a thread of its own."""
    service, loop = Service(), asyncio.new_event_loop()
    stop, ready = asyncio.Event(), threading.Event()

    async def run() -> None:
        async with serve(service.answer, "127.0.0.1", 0, process_request=service.process_request) as server:
            service.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/v1/listen"
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    ready.wait()
    try:
        yield service
    finally:
        service.may_answer.set()
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@contextmanager
def opened(url: str, key: str = "", **query: str) -> Iterator[Recognizer]:
    engine = WebSocketEngine(url, key, clock=ManualClock(), **query)  # by which no answer is too late
    engine.load()
    recognizer = engine.open(8000)
    try:
        yield recognizer
    finally:
        recognizer.close()


def until(recognizer: Recognizer, what: Callable[[list[Result]], bool]) -> list[Result]:
    """Ask until it has come; pytest's timeout ends what never does."""
    came: list[Result] = []
    while not what(came):
        came += recognizer.poll()
        threading.Event().wait(0.01)
    return came


def finals(came: list[Result]) -> list[str]:
    return [result.text for result in came if result.is_final]


def test_from_speech_to_text() -> None:
    with serving() as service, opened(service.url, key="k1", model="nova-3", language="de") as recognizer:
        service.may_answer.clear()
        for _ in range(3):
            recognizer.accept(PIECE)
        recognizer.finish()
        assert not recognizer.is_settled
        service.may_answer.set()
        came = until(recognizer, lambda came: bool(finals(came)))
        assert finals(came) == ["12000 samples"]
        assert came[-1].words[-1].end_samples == 12_000
        recognizer.accept(PIECE)
        recognizer.finish()
        assert until(recognizer, lambda came: bool(finals(came)))[-1].words[-1].start_samples == 12_000
        until(recognizer, lambda _: recognizer.is_settled)
        [request] = service.requests
    assert request.headers["Authorization"] == "Token k1"
    assert {name: value for name, [value] in parse_qs(urlsplit(request.path).query).items()} == {
        "encoding": "linear16", "sample_rate": "8000", "channels": "1", "interim_results": "true",
        "model": "nova-3", "language": "de",
    }  # fmt: skip


def test_a_connection_that_breaks_is_made_again_and_nothing_is_lost() -> None:
    with serving() as service:
        service.break_after = [8000, 4000]
        with opened(service.url) as recognizer:
            for _ in range(3):
                recognizer.accept(PIECE)
            recognizer.finish()
            came = until(recognizer, lambda came: bool(finals(came)))
            assert finals(came) == ["12000 samples"]
            assert (came[-1].words[0].start_samples, came[-1].words[-1].end_samples) == (0, 12_000)
            assert len(service.requests) == 3


def test_it_connects_when_there_is_speech_and_says_good_bye() -> None:
    with serving() as service:
        with opened(service.url) as recognizer:
            assert recognizer.poll() == []
            assert service.requests == []
            recognizer.accept(PIECE)
            recognizer.finish()
            until(recognizer, lambda came: bool(finals(came)))
        while not service.closed:
            threading.Event().wait(0.01)


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (HTTPStatus.UNAUTHORIZED, "refuses the key .HTTP 401."),
        (HTTPStatus.BAD_REQUEST, "does not take these options"),
    ],
)
def test_a_service_that_refuses(status: HTTPStatus, says: str) -> None:
    def speak(recognizer: Recognizer) -> None:
        recognizer.accept(PIECE)  # which says so when the answer is there already
        until(recognizer, lambda came: False)

    with serving() as service:
        service.refuse = status
        with opened(service.url) as recognizer, pytest.raises(TranscriptionError, match=says):
            speak(recognizer)


def test_a_service_that_is_not_there_is_waited_for_within_bounds() -> None:
    with opened("ws://127.0.0.1:9/") as recognizer:
        for _ in range(MAX_KEPT_S * 2):
            recognizer.accept(PIECE)
        with pytest.raises(TranscriptionError, match="no connection to 127"):
            recognizer.accept(PIECE)


def test_the_key_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPGRAM_API_KEY", "k2")
    assert WebSocketEngine().key == "k2"
    with pytest.raises(ConfigurationError, match="is not ws"):
        WebSocketEngine(url="deepgram")
