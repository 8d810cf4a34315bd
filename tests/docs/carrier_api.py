"""An HTTP server on loopback that takes what carriers' interfaces take, and remembers it."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs


@dataclass(frozen=True)
class Request:
    """What was posted."""

    path: str
    headers: dict[str, str]
    body: str

    def refusal(self) -> str:
        """Return why a carrier would refuse it, nothing if it would not."""
        is_form = "Streams.json" in self.path
        kind, expected = (
            self.headers["content-type"],
            "application/x-www-form-urlencoded" if is_form else "application/json",
        )
        if kind != expected:
            return f"content type {kind}"
        scheme = self.headers.get("authorization", "").partition(" ")[0]
        if scheme != ("Bearer" if "/v2/calls/" in self.path else "Basic"):
            return f"authorization by {scheme}"
        if is_form:
            return "" if parse_qs(self.body)["Url"][0].startswith("wss://") else "no Url"
        return "" if isinstance(json.loads(self.body), dict) else "no object"


class CarrierApi:
    """Answers each POST as Telnyx does; `taken` has what came."""

    def __init__(self) -> None:
        self.taken: list[Request] = []
        taken = self.taken

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                taken.append(Request(self.path, headers, body))
                answer = b'{"data": {"result": "ok"}}\n'
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
