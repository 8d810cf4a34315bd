"""Both sides of a hand-over in one process: calls are of one of both at any moment, with all that belongs to them."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import numpy as np
import pytest

from media import Server, ServerConfig
from media.alarms.reconciliation import reconcile
from media.cli import reason_of
from media.config import Endpoint
from media.handover import passing
from media.handover.link import (
    Calls,
    Hello,
    Link,
    LinkError,
    Message,
    Offer,
    Ready,
    Refused,
    Taken,
    TakenBack,
    connect,
    listen,
)
from media.handover.moved import FORMAT, Moved
from media.handover.passing import doors_of, running
from media.handover.shelf import write
from strep import header, rtp
from strep.errors import ConfigurationError
from strep.header import Direction, Leg, StrepHeader
from strep.mmsg import IS_SUPPORTED
from strep.rtp import RtpPacket
from tests.media.harness import encoded_channels, sidecar
from tests.sealing.people import FOR_ALICE, in_clear

pytestmark = pytest.mark.skipif(not IS_SUPPORTED, reason="needs Linux")
PATIENCE_S = 120.0
LOOPBACK = Endpoint("127.0.0.1", 0)
LEG = UUID(int=7)
PIECE = 25
"""Packets of a leg that are sent at once: half a second."""


async def until(condition: Callable[[], Any]) -> Any:
    """Return what `condition` returns once it is true."""
    async with asyncio.timeout(PATIENCE_S):
        while not (value := condition()):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)
    return value


def packet(number: int, leg: UUID = LEG) -> bytes:
    """Return 20 ms, all samples of which have a value of their own."""
    payload = bytes([1 + number % 100]) * 160
    sent = rtp.serialize(RtpPacket(0, number, number * 160, 5, payload))
    return header.serialize(StrepHeader(leg, Leg.A, Direction.INBOUND)) + sent


def values(directory: Path, name: str = str(LEG)) -> list[int]:
    """Return the values of the packets that are in a recording, in order; those that follow alike once."""
    sealed = directory / f"{name}.wav.sealed"
    if sealed.exists():
        (directory / f"{name}.wav").write_bytes(in_clear(sealed))
    found = encoded_channels(directory / f"{name}.wav")[:, 0]
    found = found[(found > 0) & (found <= 100)]
    return list(found[np.flatnonzero(np.diff(found, prepend=0))].tolist())


class House:
    """Servers at one path, one after the other, and one who sends."""

    def __init__(self, directory: Path, **config: Any) -> None:
        self.directory, self.path, self.sent = directory / "recordings", directory / "hand-over", 0
        self.config: dict[str, Any] = {"record": self.directory, "record_format": "passthrough", **config}
        self.udp, self.http = LOOPBACK, None
        self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    @asynccontextmanager
    async def server(self, **config: Any) -> AsyncIterator[Server]:
        server = Server(ServerConfig(**{"udp": self.udp, **self.config, **config}))
        async with running(server, self.path, ()):
            host, _, port = server.addresses["udp"].rpartition(":")
            self.udp = Endpoint(host, int(port))
            yield server

    async def send(self, *servers: Server, count: int = PIECE) -> None:
        """Send some packets, and wait until they are taken."""
        for number in range(self.sent, self.sent + count):
            self.sender.sendto(packet(number), (self.udp.host, self.udp.port))
        self.sent += count
        await until(lambda: sum(server.doors.strep.datagrams for server in servers) == self.sent)

    def link(self) -> Link:
        """Be a successor."""
        link = connect(self.path)
        assert link is not None
        return link

    async def ask(self, number: int = FORMAT, **doors: str) -> tuple[Link, Message | None]:
        """Say Hello."""
        link = self.link()
        link.say(Hello(number, {"udp": str(self.udp), **doors}))
        answer, _ = await link.hear(PATIENCE_S)
        return link, answer

    def check(self) -> dict[str, Any]:
        """See that there is one recording with all that was sent."""
        self.sender.close()
        document = sidecar(self.directory, str(LEG))
        assert (document["state"], document["restarts"], document["handed_over_samples"]) == ("complete", [], None)
        assert len(list(self.directory.glob("*.json"))) == 1
        (track,) = [each for each in document["tracks"] if each["direction"] == "inbound"]
        assert track["statistics"]["received"] == self.sent
        return document


def notes_in(directory: Path) -> list[Path]:
    return list(directory.rglob(".*.finish"))


def counted(count: int) -> list[int]:
    return [1 + number % 100 for number in range(count)]


class TestCallsMove:
    @pytest.mark.parametrize("config", [{}, {"encrypt_to": FOR_ALICE}, {"sync_s": 0.05}], ids=str)
    async def test_twice(self, config: dict[str, Any], tmp_path: Path) -> None:
        """Into the same file, and the books of each process are right."""
        house, ended = House(tmp_path, **config), []
        async with house.server() as first:
            await house.send(first)
            async with house.server() as second:
                await first.wait_closed()
                await house.send(first, second)
                async with house.server() as third:
                    await second.wait_closed()
                    await house.send(first, second, third)
                ended = [reconcile(server.snapshot()) for server in (first, second, third)]
        house.check()
        assert values(house.directory) == counted(3 * PIECE)
        assert [(books.handed_over, books.finished, books.missing) for books in ended] == [
            (1, 0, 0),
            (1, 0, 0),
            (0, 1, 0),
        ]
        assert not any(books.unaccounted or books.failed for books in ended)

    @pytest.mark.parametrize("config", [{}, {"encrypt_to": FOR_ALICE}], ids=["clear", "sealed"])
    async def test_amid_a_pause(self, config: dict[str, Any], tmp_path: Path) -> None:
        """Nothing of what comes in the new process before somebody resumes is kept."""
        house = House(tmp_path, **config)
        async with house.server() as first:
            await house.send(first)
            (call,) = first.engine.calls.values()
            await until(lambda: first.runners[0].snapshot().delivered_blocks)
            pause = first.recorder.pausing.pause(call.info)
            await house.send(first)
            async with house.server() as second:
                await first.wait_closed()
                (call,) = second.engine.calls.values()
                assert [each.start_samples for each in call.info.pauses] == [pause.start_samples]
                await house.send(first, second)
        (track,) = [each for each in house.check()["tracks"] if each["direction"] == "inbound"]
        assert track["totals"]["paused"] >= PIECE * 160  # what the new process got, at the least
        assert set(values(house.directory)) <= set(counted(PIECE))

    async def test_a_take_ends_with_its_process(self, tmp_path: Path) -> None:
        """And no note of anything stays behind, locked or not."""
        from media.sinks.takes.options import TakeOptions

        house = House(tmp_path, takes=tmp_path / "takes", deliver_format=("flac",))
        async with house.server() as first:
            await house.send(first)
            (call,) = first.engine.calls.values()
            first.recorder.start(call.info, TakeOptions())
            await house.send(first)
            async with house.server() as second:
                await first.wait_closed()
                await house.send(first, second)
        states = [sidecar(path.parent, path.stem)["state"] for path in (tmp_path / "takes").glob("*.json")]
        assert states == ["complete"]
        assert not notes_in(tmp_path)
        house.check()

    async def test_withdrawn_legs_stay_withdrawn(self, tmp_path: Path) -> None:
        """Though the successor read of them when it began."""
        kept, withdrawn = UUID(int=1), UUID(int=2)
        house = House(tmp_path, udp_legs="registered", state=tmp_path / "state")
        async with house.server() as first:
            for leg in kept, withdrawn:
                first.register_leg(leg)
            late = Server(ServerConfig(udp=house.udp, **house.config))
            assert first.withdraw_leg(withdrawn)
            async with running(late, house.path, ()):
                await first.wait_closed()
                assert [late.withdraw_leg(leg) for leg in (kept, withdrawn)] == [True, False]
        house.sender.close()

    async def test_http_goes_on_at_the_same_port(self, tmp_path: Path) -> None:
        house = House(tmp_path, udp_legs="registered")
        async with (
            house.server(http=LOOPBACK) as first,
            aiohttp.ClientSession() as old,
            aiohttp.ClientSession() as new,
        ):
            url = f"http://{first.addresses['http']}/v1"
            body = {"call_leg_id": str(LEG)}
            async with old.post(f"{url}/legs", json=body) as reply:
                assert reply.status == 201
            await house.send(first)
            with pytest.raises(ConfigurationError, match=r"receives http on .*, and the new one does not"):
                async with house.server(udp_legs="open"):
                    pass
            host, _, port = first.addresses["http"].rpartition(":")
            async with house.server(http=Endpoint(host, int(port))) as second:
                assert second.addresses == first.addresses
                async with new.get(f"{url}/calls") as reply:
                    assert [call["call_id"] for call in (await reply.json())["calls"]] == [str(LEG)]
                with suppress(aiohttp.ClientError):  # the old process ends meanwhile
                    async with old.post(f"{url}/legs", json=body) as reply:
                        assert (reply.status, reply.headers.get("Connection")) in ((503, "close"), (201, None))
                await first.wait_closed()
                await house.send(first, second)
        house.check()


class TestNobodyTakesOver:
    async def test_one_that_is_refused_dies_or_is_too_slow(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The process that runs goes on, and nothing is missing."""
        house = House(tmp_path)
        async with house.server() as first:
            await house.send(first)
            for number, doors, says in (
                (FORMAT + 1, {}, "hands over in format"),
                (FORMAT, {"udp": "127.0.0.2:0"}, "the new one wants 127.0.0.2:0: give it the same"),
            ):
                link, refused = await house.ask(number, **doors)
                link.close()
                assert isinstance(refused, Refused)
                assert says in refused.text
            link, offer = await house.ask()
            assert isinstance(offer, Offer)
            link.close()
            await house.send(first)
            link, _ = await house.ask()
            await self._until_calls(link)
            link.close()
            await house.send(first)
            monkeypatch.setattr(passing, "TAKE_TIMEOUT_S", 0.1)
            link, _ = await house.ask()
            await self._until_calls(link)
            answer, _ = await link.hear(PATIENCE_S)
            assert isinstance(answer, TakenBack)
            with suppress(OSError):
                link.say(Taken())
            link.close()
            await house.send(first)
            assert first.engine.snapshot()["calls"] == 1
        house.check()
        assert values(house.directory) == counted(4 * PIECE)

    async def _until_calls(self, link: Link) -> None:
        link.say(Ready())
        answer, descriptors = await link.hear(PATIENCE_S)
        assert isinstance(answer, Calls)
        for descriptor in descriptors:
            os.close(descriptor)

    @pytest.mark.parametrize("is_taken_back", [False, True])
    async def test_the_old_one_goes(self, is_taken_back: bool, tmp_path: Path) -> None:
        """Without a word, when it has died: its calls are the new one's. Or it was tired of waiting: they are not."""
        path = tmp_path / "hand-over"
        with listen(path) as listener, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("127.0.0.1", 0))
            config = ServerConfig(udp=Endpoint(*udp.getsockname()))

            async def old() -> None:
                sock, _ = await asyncio.get_running_loop().sock_accept(listener)
                link = Link(sock)
                await link.hear(PATIENCE_S)
                link.say(Offer(doors_of(config)))
                await link.hear(PATIENCE_S)
                calls = write(Moved())
                link.say(Calls(["udp"], 0), (calls, listener.fileno(), udp.fileno()))
                os.close(calls)
                if is_taken_back:
                    link.say(TakenBack())
                    await until(
                        lambda: bool(sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)) if _has(sock) else 0
                    )
                else:
                    assert isinstance((await link.hear(PATIENCE_S))[0], Taken)
                link.close()  # with `Taken` unread, if it was said late

            running_old = asyncio.create_task(old())
            server = Server(config)
            if is_taken_back:
                with pytest.raises(LinkError, match="has taken its calls back"):
                    async with running(server, path, ()):
                        pass
            else:
                async with running(server, path, ()):
                    udp.sendto(packet(0), udp.getsockname())
                    await until(lambda: server.doors.strep.datagrams == 1)
            await running_old


def _has(sock: socket.socket) -> bool:
    try:
        return bool(sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return False


def test_an_error_without_a_word() -> None:
    assert reason_of(TimeoutError(), ServerConfig()) == "TimeoutError"
