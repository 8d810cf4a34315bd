"""Shell: the HTTP door in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, cast

from media.admission.crowd import network_of
from media.config import Endpoint, ServerConfig
from media.http.access import Access, check_access, is_loopback
from media.sockets import BoundSockets
from strep.errors import ConfigurationError

if TYPE_CHECKING:
    from media.http.api import Api
    from media.webhooks.incoming import Incoming

_LOG = logging.getLogger("strep.http")
BACKLOG = 128
MAX_CONNECTIONS = 256
"""At once; for a further one the oldest that has shown no token goes, or else it does."""
MAX_OF_ONE_ADDRESS = 64
"""Of these, but for those of this machine, where a proxy may stand: so that no stranger takes them all."""
LINGERING_S = 0.5
"""So long what follows of a request that is refused is read, for its client to see the answer."""
IDLE_TIMEOUT_S = 15.0
"""For a request, the first or a further one, before a connection is closed."""
STOP_TIMEOUT_S = 3.0
"""How long readers may take for the rest when the server stops."""


class HttpDoor:
    """Serves `media.http.app` at one address, or at a Unix socket to a supervisor (`media.workers.inner`).

    Attributes:
        name: among the companions.
        addresses: where, once it has started: ``{"http": "host:port"}``.
        turned_away: connections closed for want of room.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        token: str,
        make_api: Callable[[], Api],
        sockets: BoundSockets | None = None,
    ) -> None:
        """Prepare; nothing listens before `start`, which calls `make_api`, and listens on a socket of `sockets`.

        Raises:
            ConfigurationError: others could listen in, or aiohttp is missing.
        """
        check_access(endpoint, token)
        try:
            import aiohttp.web  # noqa: F401
        except ImportError as error:
            raise ConfigurationError(f"http needs aiohttp ({error}); pip install '/path/to/strep[http]'") from error
        self.addresses: dict[str, str] = {}
        self.turned_away = 0
        self._is_inner = bool(sockets and sockets.http and sockets.http.family == socket.AF_UNIX)
        self.name = "inner_http" if self._is_inner else "http"
        self._endpoint, self._access, self._make_api = endpoint, Access(token), make_api
        self._api: Api | None = None
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._given = sockets or BoundSockets()
        self._socket: socket.socket | None = None
        # What ends it, once it serves: to be called in its loop, which comes with it.
        self._serving: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, asyncio.Server]] = Future()

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be had.
        """
        self._api = self._make_api()
        self._socket = self._given.http or await _listen(self._endpoint)
        if not self._is_inner:
            self.addresses = {"http": str(Endpoint(*self._socket.getsockname()[:2]))}
        self._thread.start()
        await asyncio.wrap_future(self._serving)

    def listener(self) -> socket.socket:
        """Return the listening socket, as one more descriptor of it."""
        assert self._socket is not None
        return self._socket.dup()

    def stop_listening(self) -> None:
        """Take no more connections; those that there are go on."""
        loop, _, listener = self._serving.result()
        loop.call_soon_threadsafe(listener.close)

    async def close(self) -> None:
        """Let readers have the rest, for some seconds, and end."""
        loop, stopping, _ = self._serving.result()
        loop.call_soon_threadsafe(stopping.set)
        await asyncio.to_thread(self._thread.join, 2 * STOP_TIMEOUT_S)

    def snapshot(self) -> dict[str, Any]:
        """Return counters."""
        api = self._api
        if api is None:
            return {}
        counts = {"readers": len(api.readers), "refused": dict(api.refused), "turned_away": self.turned_away}
        return counts if api.incoming is None else counts | {"carrier": api.incoming.snapshot()}

    def _run(self) -> None:
        from media.runtime import loop_factory

        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(self._serve())
        except Exception as error:
            _LOG.exception("HTTP failed")
            if not self._serving.done():
                self._serving.set_exception(error)

    async def _serve(self) -> None:
        from aiohttp import web

        from media.http.app import OPEN_PATHS, make_app

        assert self._api is not None
        room, app = _Room(), make_app(self._api, self._access)

        @web.middleware
        async def know(request: web.Request, handler: Callable[..., Any]) -> Any:
            if request.path not in OPEN_PATHS:  # it is here because it may be
                room.know(request.transport)
            return await handler(request)

        app.middlewares.append(know)
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=_library_logger(self._api.refused),
            handle_signals=False,
            keepalive_timeout=IDLE_TIMEOUT_S,
            shutdown_timeout=STOP_TIMEOUT_S,
            lingering_time=LINGERING_S,
        )
        await runner.setup()
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        web_server = runner.server
        assert web_server is not None
        assert self._socket is not None

        def protocol() -> asyncio.Protocol:
            return _Connection(web_server, room, self._turn_away)

        listener = await loop.create_server(protocol, sock=self._socket, backlog=BACKLOG)
        self._serving.set_result((loop, stopping, listener))
        await stopping.wait()
        listener.close()
        self._api.stop()
        await runner.cleanup()
        for connection in list(room.connections):
            await connection.abort()  # closed it is, but what a peer does not read would keep it open

    def _turn_away(self) -> None:
        self.turned_away += 1


def incoming_of(config: ServerConfig) -> Incoming | None:
    """Return what judges webhooks of the carrier, None where no key says whose.

    Raises:
        ConfigurationError: a key cannot be used, or cryptography is missing.
    """
    if not config.telnyx_public_keys:
        return None
    from media.admission.configured import ended_legs_of
    from media.webhooks.incoming import Incoming
    from media.webhooks.signing import Verifier

    return Incoming(Verifier(config.telnyx_public_keys), ended_legs_of(config))


def _library_logger(refused: dict[str, int]) -> logging.Logger:
    """Return where aiohttp logs to: what is no HTTP is counted instead, for a traceback each would fill the disk."""
    from aiohttp.http_exceptions import HttpProcessingError

    def is_ours(record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
            refused["no_http"] = refused.get("no_http", 0) + 1
            return False
        return record.levelno >= logging.INFO

    logger = logging.Logger(f"{_LOG.name}.aiohttp", logging.DEBUG)  # noqa: LOG001 - its filter is of this door alone
    logger.parent = _LOG
    logger.addFilter(is_ours)
    return logger


class _Room:
    """The connections that are open, the oldest first, by where they come from; and those that have shown no token.

    Where there is no room one of those goes, of the address that has most of them: whoever means well has asked for
    something within a moment, whoever fills the room waits as long as it may.
    """

    def __init__(self) -> None:
        self.connections: dict[_Connection, str] = {}
        self._strangers: dict[_Connection, str] = {}

    def enter(self, connection: _Connection, address: str) -> _Connection | None:
        """Let one in; return who has to go for it: itself if nobody else does, None if there is room."""
        network, of_all = network_of(address), Counter(self.connections.values())
        most = MAX_CONNECTIONS if is_loopback(address) or is_loopback(network) else MAX_OF_ONE_ADDRESS
        has_room = True
        goes: _Connection | None = None
        if of_all[network] >= most:
            has_room, goes = False, self._oldest(network)
        elif len(self.connections) >= MAX_CONNECTIONS:
            of_strangers = Counter(self._strangers.values())
            has_room, goes = False, self._oldest(max(of_strangers, key=of_strangers.__getitem__, default=network))
        if not has_room and goes is None:
            return connection
        if goes is not None:
            self.leave(goes)
        self.connections[connection] = self._strangers[connection] = network
        return goes

    def know(self, transport: asyncio.BaseTransport | None) -> None:
        """Take note that whoever is at `transport` has shown a token, or needs none."""
        for connection in self._strangers:
            if connection.transport is transport:
                del self._strangers[connection]
                return

    def leave(self, connection: _Connection) -> None:
        """Let one go, if it was in."""
        self.connections.pop(connection, None)
        self._strangers.pop(connection, None)

    def _oldest(self, network: str) -> _Connection | None:
        return next((one for one, where in self._strangers.items() if where == network), None)


class _Connection(asyncio.Protocol):
    """aiohttp's protocol, in a room as long as its transport is open; where there is none it is closed at once.

    aiohttp forgets a transport that it has closed, and its peer need only not read for it to be open for ever.

    Attributes:
        transport: of it, once it is made.
    """

    transport: asyncio.Transport

    def __init__(self, make: Callable[[], asyncio.Protocol], room: _Room, turn_away: Callable[[], None]) -> None:
        self._protocol = asyncio.Protocol()  # which does nothing
        self._make, self._room, self._turn_away = make, room, turn_away
        self._lost = asyncio.Event()

    async def abort(self) -> None:
        """Close it, whatever is not written; a loop that ends before it is closed never lets go of its socket."""
        self.transport.abort()
        await self._lost.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it, or turn it away."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass of it
        peer = transport.get_extra_info("peername")
        goes = self._room.enter(self, str(peer[0]) if peer else "127.0.0.1")
        if goes is not None:
            self._turn_away()
            goes.transport.abort()
        if goes is self:
            return
        self._protocol = self._make()
        self._protocol.connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget it."""
        self._room.leave(self)
        self._lost.set()
        self._protocol.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Hand on."""
        self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        """Hand on."""
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        """Hand on."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Hand on."""
        self._protocol.resume_writing()


async def _listen(endpoint: Endpoint) -> socket.socket:
    """Return a socket that listens.

    Raises:
        OSError: it cannot be had; the text says where.
    """
    found = await asyncio.get_running_loop().getaddrinfo(
        endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, _, _, _, address = found[0]
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot serve HTTP on {endpoint}: {error.strerror}") from error
    return sock
