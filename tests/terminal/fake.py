"""A server that follows the contract of the HTTP door and has no calls but those that a test gives it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.patience import PATIENCE_S


def call_of(call_id: str, started: int = 0, **more: Any) -> dict[str, Any]:
    """Return what a server says of a call."""
    track = {
        "direction": "inbound", "length_samples": 8000, "received": 49, "delivered": 49, "duplicate": 0, "late": 0,
        "invalid": 0, "quarantined": 0, "in_flight": 0, "reordered": 0, "epochs": 1, "expected": 50,
        "cumulative_lost": 1, "never_arrived": 1, "jitter_ms": 1.5, "jitter_mean_ms": 1.25, "jitter_max_ms": 2.0,
    }  # fmt: skip
    return {
        "call_id": call_id, "door": "ws", "started_at": f"2026-01-01T00:00:{started:02}Z", "sample_rate_hz": 8000,
        "identity": {"from": "+1"}, "tracks": [track],
    } | more  # fmt: skip


class FakeServer:
    """What it has, and what it was told.

    Attributes:
        calls: the live ones.
        acted: call, action and body of each action.
        answers: by action: status and document, or what makes them of the body.
        events: are told to who reads them; None ends the stream.
        subscribed: queries of those who follow events.
    """

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.acted: list[tuple[str, str, dict[str, Any]]] = []
        self.answers: dict[str, tuple[int, Any]] = {}
        self.when_acted: Callable[[str, dict[str, Any]], None] = lambda action, body: None
        self.events: Queue[dict[str, Any] | None] = Queue()
        self.subscribed: list[dict[str, list[str]]] = []
        self.authorizations: set[str | None] = set()
        self.asked = 0
        self.url = ""

    def get(self, path: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        """Answer."""
        self.asked += 1
        if path == "/v1/calls":
            offset, limit = int(query["offset"][0]), int(query["limit"][0])
            return 200, {"total": len(self.calls), "calls": self.calls[offset : offset + limit]}
        if path == "/v1/alarms":
            return 200, {"status": "ok", "alarms": []}
        call_id = unquote(path.removeprefix("/v1/calls/"))
        found = [call for call in self.calls if call["call_id"] == call_id]
        return (200, found[0]) if found else (404, _error("no_such_call", "there is no such call"))

    def act(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Do, and answer."""
        _, _, _, call_id, _, action = path.split("/")
        self.acted.append((unquote(call_id), action, body))
        self.when_acted(action, body)
        return self.answers.get(action, (200, {"data": {"result": "ok"}}))

    @property
    def told(self) -> tuple[str, str, dict[str, Any]]:
        """Call, action and body of the only action, without its command id."""
        [(call_id, action, body)] = self.acted
        assert body["command_id"]
        return call_id, action, {name: value for name, value in body.items() if name != "command_id"}


def _error(code: str, message: str) -> Any:
    return {"error": {"code": code, "message": message}}


@contextmanager
def fake_server() -> Iterator[FakeServer]:
    """Serve on a port of this machine."""
    fake = FakeServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = PATIENCE_S

        def log_message(self, *_: object) -> None:
            return

        def do_GET(self) -> None:
            fake.authorizations.add(self.headers.get("Authorization"))
            parts = urlsplit(self.path)
            query = parse_qs(parts.query)
            if parts.path == "/v1/events":
                self.stream(query)
            else:
                self.answer(*fake.get(parts.path, query))

        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/json"
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(*fake.act(self.path, body))

        def answer(self, status: int, document: Any) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def stream(self, query: dict[str, list[str]]) -> None:
            fake.subscribed.append(query)
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b": still here\n\n")
            while (event := fake.events.get()) is not None:
                self.wfile.write(f"event: {event['event']}\ndata: {json.dumps(event)}\n\n".encode())
            self.close_connection = True

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    server = Server(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.events.put(None)
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE_S)
