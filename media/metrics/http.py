"""Shell: ``http://HOST:PORT/metrics``, in threads of its own; nothing of it is in a packet's way."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from media.config import Endpoint
from media.http.access import Access
from strep.clock import NS_PER_SECOND, SystemClock

PATH = "/metrics"
REQUEST_TIMEOUT_S = 10.0
"""For a request, until it is answered: whoever says a byte now and then is closed as well."""
MAX_REQUESTS = 16
"""At once, a thread each; further connections are closed, before anything of them is read."""

_HEADERS = {"Authorization": "HTTP_AUTHORIZATION", "Host": "HTTP_HOST", "Origin": "HTTP_ORIGIN"}
"""Those that say who may look, and how WSGI names them; their texts are latin-1 there (PEP 3333)."""

Families = Callable[[], Iterable[Metric]]


class _Collector(Collector):
    """Asks for the families whenever somebody asks us."""

    def __init__(self, families: Families) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Return the families of this moment."""
        return self._families()

    def describe(self) -> Iterable[Metric]:
        """Return nothing: they need not be looked through for doubles."""
        return ()


class _Server(ThreadingMixIn, WSGIServer):
    is_shared = False
    daemon_threads = True
    block_on_close = False

    def __init__(self, *arguments: Any) -> None:
        self._clock = SystemClock()
        self._room = threading.BoundedSemaphore(MAX_REQUESTS)
        self._until_ns: dict[socket.socket, int] = {}
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, if there is room for one."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        self._until_ns[request] = self._clock.now_ns() + round(REQUEST_TIMEOUT_S * NS_PER_SECOND)
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._done(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._done(request)

    def service_actions(self) -> None:
        """End what takes too long; called twice a second."""
        now_ns = self._clock.now_ns()
        for request, until_ns in list(self._until_ns.items()):
            if until_ns < now_ns:
                with contextlib.suppress(OSError):  # it has just been closed
                    request.shutdown(socket.SHUT_RDWR)

    def _done(self, request: socket.socket) -> None:
        del self._until_ns[request]
        self._room.release()

    def server_bind(self) -> None:
        # Not HTTPServer's: it looks up the name of the address, which may take seconds.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.is_shared:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do nothing: a client that goes away is its own affair."""


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:
        """Do nothing: a line per scrape helps nobody."""


@contextmanager
def serving(
    endpoint: Endpoint, families: Families, token: str = "", *, is_shared: bool = False
) -> Iterator[Endpoint]:
    """Serve metrics while the context lasts; yield where, with the port that the system chose.

    Args:
        endpoint: where.
        families: what.
        token: what requests have to show, if there is one.
        is_shared: another process of this user may serve there as well, one of which takes over from the other.

    Raises:
        OSError: the address cannot be had.
    """
    server = _listen(endpoint, families, token, is_shared=is_shared)
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield Endpoint(server.server_name, server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _listen(endpoint: Endpoint, families: Families, token: str, *, is_shared: bool) -> _Server:
    found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    kind = type("Server", (_Server,), {"address_family": family, "is_shared": is_shared})
    try:
        server: _Server = kind(address, _Handler)
    except OSError as error:
        raise OSError(error.errno, f"cannot serve metrics on {endpoint}: {error.strerror}") from error
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(families))
    server.set_app(_only_metrics(make_wsgi_app(registry), Access(token)))
    return server


def _only_metrics(app: Any, access: Access) -> Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        said = {name: environ[key] for name, key in _HEADERS.items() if key in environ}
        denial = access.denial(
            {name: str(text).encode("latin-1").decode(errors="replace") for name, text in said.items()}
        )
        if denial is not None:
            challenge = [("WWW-Authenticate", "Bearer")] if denial.status == HTTPStatus.UNAUTHORIZED else []
            status = HTTPStatus(denial.status)
            start_response(f"{status.value} {status.phrase}", [("Content-Type", "text/plain"), *challenge])
            return [f"{denial.message}\n".encode(errors="replace")]
        if environ["PATH_INFO"] == PATH:
            answered: Iterable[bytes] = app(environ, start_response)
            return answered
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [f"There is only {PATH} here.\n".encode()]

    return answer
