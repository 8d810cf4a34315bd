"""Both sides of a hand-over: `take_over` from the process that runs, and `HandOverDoor` for the one behind it."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from media.config import ServerConfig
from media.handover.departure import Departure, leave
from media.handover.link import (
    Calls,
    Hello,
    Link,
    LinkError,
    Offer,
    Ready,
    Refused,
    Taken,
    TakenBack,
    Yours,
    connect,
    listen,
)
from media.handover.moved import FORMAT
from media.handover.moving import make_room
from media.handover.shelf import forget, read, taking
from media.server import Server
from media.sockets import BoundSockets
from strep.clock import NS_PER_MS
from strep.errors import ConfigurationError
from strep.mmsg import IS_SUPPORTED

if TYPE_CHECKING:
    from media.http.companion import HttpDoor

_LOG = logging.getLogger("strep.handover")

SYSTEMD = Path("systemd")
"""What is given instead of a path where the process is a service of systemd, which holds its sockets."""
ANSWER_TIMEOUT_S = 300.0
"""For the other one's answer while calls go on as ever, however busy the machine: one that dies is known at once."""
TAKE_TIMEOUT_S = 30.0
"""For the one moment in which nobody receives: after it the calls are taken back."""


async def begin(server: Server, path: Path) -> HandOverDoor:
    """Start `server`: with what the process at `path` hands over, or as the first; return where the next one asks.

    Args:
        server: not started.
        path: of the Unix socket.

    Raises:
        ConfigurationError: the other process refuses, or has other doors; it goes on as it was.
        OSError: as `Server.start`.
    """
    link = connect(path)
    if link is None:
        listener = listen(path)  # first, for it may fail; who asks meanwhile waits
        try:
            await server.start()
        except BaseException:
            _stop_listening(listener, path)
            raise
        return HandOverDoor(server, listener, path)
    try:
        listener = await _take_over(server, link)
    finally:
        link.close()
    return HandOverDoor(server, listener, path)


async def _take_over(server: Server, link: Link) -> socket.socket:
    if server.config.receiver == "asyncio-dgram":
        raise ConfigurationError("hand_over: a successor cannot receive with asyncio-dgram, which begins too early")
    link.say(Hello(FORMAT, doors_of(server.config)))
    answer, _ = await link.hear(ANSWER_TIMEOUT_S)
    if isinstance(answer, Refused):
        raise ConfigurationError(f"hand_over: {answer.text}")
    if not isinstance(answer, Offer):
        raise LinkError("hand_over: the process that runs is ending, or of another version; try again")
    await server.companions.start(without=answer.doors)  # who listens there listens on what is handed over
    link.say(Ready())
    answer, descriptors = await link.hear(ANSWER_TIMEOUT_S)
    if not isinstance(answer, Calls):
        raise LinkError("hand_over: the process that runs has not handed over: it goes on, or ends")
    moved = read(descriptors[0])
    listener, *received = (socket.socket(fileno=descriptor) for descriptor in descriptors[1:])
    for sock in (listener, *received):
        sock.setblocking(False)
    given = BoundSockets.of(dict(zip(answer.sockets, received, strict=True)))
    mine = server.sockets
    mine.udp, mine.ws, mine.rtp, mine.http = given.udp, given.ws, given.rtp, given.http
    await server.open()
    try:
        go_on = make_room(moved, server.engine, server.doors.strep, server.doors.rtp)
        await _until_mine(link)
    except BaseException:
        listener.close()
        await server.give_up()
        raise
    server.run(go_on)
    pause_ms = round((server.engine.now_ns() - answer.began_ns) / NS_PER_MS, 1)
    figures = {"calls": len(moved.calls), "sockets": answer.sockets, "pause_ms": pause_ms}
    _LOG.info("took over", extra=figures)
    return listener


async def _until_mine(link: Link) -> None:
    """Wait until the calls are of this process.

    Raises:
        LinkError: they are not.
    """
    with suppress(OSError):  # it has hung up, and what it said before is still to be heard
        link.say(Taken())
    answer, _ = await link.hear(ANSWER_TIMEOUT_S)
    if isinstance(answer, TakenBack):
        raise LinkError("hand_over: the process that runs has taken its calls back, for this one was too slow")
    if answer is None:
        _LOG.warning("the process before died while it handed over; its calls go on here")


def doors_of(config: ServerConfig) -> dict[str, str]:
    """Return where the doors are to be, by the names of `BoundSockets.named`."""
    wanted = ("udp", config.udp), ("ws", config.ws), ("http", config.http)
    doors = {name: end for name, end in wanted if end is not None}
    for ports in config.rtp:
        doors |= {f"rx {ports.name}": ports.rx, f"tx {ports.name}": ports.tx}
    return {name: str(end) for name, end in doors.items()}


class HandOverDoor:
    """Where the successor asks.

    Attributes:
        has_handed_over: another process has sockets and calls.
    """

    def __init__(self, server: Server, listener: socket.socket, path: Path) -> None:
        """Wait for successors of `server`, which runs."""
        self.has_handed_over = False
        self._server, self._listener, self._path = server, listener, path
        self._task = asyncio.get_running_loop().create_task(self._serve(), name="hand-over")

    async def close(self) -> None:
        """Wait for nobody any more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self.has_handed_over:
            self._listener.close()
        else:
            _stop_listening(self._listener, self._path)

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while not self.has_handed_over:
            readable = asyncio.Event()
            loop.add_reader(self._listener, readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(self._listener)
            try:
                sock, _ = self._listener.accept()
            except OSError:
                continue
            link = Link(sock)
            try:
                await self._talk(link)
            except (OSError, LinkError) as error:
                _LOG.warning("a successor did not take over: %s", str(error) or "it said nothing")
            except Exception:
                _LOG.exception("handing over failed")
            finally:
                link.close()

    async def _talk(self, link: Link) -> None:
        if (uid := link.peer_uid) != os.getuid():
            _LOG.warning("a process of another user wants to take over", extra={"uid": uid})
            return
        hello, _ = await link.hear(ANSWER_TIMEOUT_S)
        if not isinstance(hello, Hello):
            return
        if text := self._objection(hello):
            _LOG.warning("a successor is refused: %s", text)
            link.say(Refused(text))
            return
        link.say(Offer(self._addresses()))
        ready, _ = await link.hear(ANSWER_TIMEOUT_S)
        if not isinstance(ready, Ready):
            _LOG.warning("a successor ended before it was ready; this process goes on")
            return
        async with self._server.passing:
            if self._server.is_stopping:
                raise LinkError("this process is ending")
            await self._hand_over(link)

    def _addresses(self) -> dict[str, str]:
        told = self._server.addresses
        doors: dict[str, str] = {name: told[name] for name in ("udp", "ws", "http") if name in told}
        for name, pair in told.get("rtp", {}).items():
            doors |= {f"{side} {name}": pair[side] for side in ("rx", "tx")}
        return doors

    def _objection(self, hello: Hello) -> str:
        """Return why the successor cannot have what is here, "" if it can."""
        if hello.format != FORMAT:
            return (
                f"the process that runs hands over in format {FORMAT}, the new one takes format {hello.format}: "
                "stop the one that runs, which drains it, and start the new one"
            )
        if self._server.config.receiver == "asyncio-dgram":
            return "the process that runs receives with asyncio-dgram, which cannot let go of its sockets"
        if self._server.engine.draining_since_ns <= self._server.engine.now_ns():
            return "the process that runs is ending"
        for name, where in self._addresses().items():
            wanted = hello.doors.get(name)
            if wanted is None:
                return f"the process that runs receives {name} on {where}, and the new one does not: give it the same"
            if not _is_same(wanted, where):
                return (
                    f"the process that runs receives {name} on {where}, the new one wants {wanted}: give it the same"
                )
        return ""

    async def _hand_over(self, link: Link) -> None:
        server = self._server
        began_ns = server.engine.now_ns()
        http = next((cast("HttpDoor", door) for door in server.companions if door.name == "http"), None)
        with Departure(server) as departure:
            try:
                departure.out()
                departure.sockets.http = http.listener() if http is not None else None
                named = list(departure.sockets.named())
                descriptors = (departure.descriptor, self._listener.fileno(), *(sock.fileno() for _, sock in named))
                link.say(Calls([name for name, _ in named], began_ns), descriptors)
                answer, _ = await link.hear(TAKE_TIMEOUT_S)
                if not isinstance(answer, Taken):
                    raise LinkError("it ended before it received")
                link.say(Yours())
            except BaseException:
                with suppress(OSError):
                    link.say(TakenBack())
                raise
        self.has_handed_over = True
        departure.tell()
        _LOG.info("handed over; what is left ends here", extra={"calls": departure.calls})
        try:
            await server.doors.part()
            if http is not None:
                http.stop_listening()
        finally:
            if not server.is_stopping:  # a second time would end media streams at once
                server.stop()


def _stop_listening(listener: socket.socket, path: Path) -> None:
    path.unlink(missing_ok=True)
    listener.close()


def _is_same(wanted: str, where: str) -> bool:
    """Whether an address that is asked for, perhaps with port 0, is that of a socket."""
    host, _, port = wanted.rpartition(":")
    bound_host, _, bound_port = where.rpartition(":")
    if port not in ("0", bound_port):
        return False
    found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
    return bound_host.strip("[]") in {str(address[4][0]) for address in found}


@asynccontextmanager
async def running(server: Server, path: Path | None, left: Sequence[int]) -> AsyncIterator[None]:
    """Run `server` while the context lasts; as successor, and with one, where `path` is given. See `begin`.

    Args:
        server: not started.
        path: of the Unix socket, or `SYSTEMD`.
        left: descriptors of what a process before left with systemd.

    Raises:
        ConfigurationError: see `begin`.
        OSError: see `Server.start`.
    """
    if path is not None and (server.config.receiver == "asyncio-dgram" or not IS_SUPPORTED):
        raise ConfigurationError("hand_over: asyncio-dgram cannot let go of its sockets; give another receiver")
    if path is None or path == SYSTEMD:
        server.leave = leave if path == SYSTEMD else None
        await server.start(taking(left, server))
        try:
            yield
        finally:
            await server.close()
        return
    forget(left)
    try:
        door = await begin(server, path)
    except BaseException:
        await server.companions.close()
        raise
    try:
        yield
    finally:
        await door.close()
        await server.close()
