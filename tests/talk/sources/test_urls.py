"""Audio from the web, and everything a web server can do instead of sending it."""

from __future__ import annotations

import asyncio
import gzip
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import numpy as np
import pytest

from media.talk.contract import PlaybackError
from media.talk.sources import UrlRules, open_source
from media.talk.sources.body import Body
from media.talk.sources.line import Line
from media.talk.sources.urls import is_public
from strep.clock import NS_PER_SECOND, ManualClock
from tests.talk.sources.listening import file_of, hum, rest, whole

HERE = UrlRules(allow_private=True, stall_s=0.3, connect_s=0.5, open_s=5)


@contextmanager
def server(*answers: bytes, hangs: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """Serve each of `answers` to one connection after the other; yield the address and what was asked."""
    asked: list[bytes] = []
    is_over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in answers:
                with suppress(OSError):
                    peer, _ = listener.accept()
                    with peer:
                        asked.append(peer.recv(65536))
                        peer.sendall(answer.replace(b"HOST", b"127.0.0.1:%d" % listener.getsockname()[1]))
                        if hangs:
                            is_over.wait(30)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/a%20b.wav?token=secret", asked
        is_over.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def answer(body: bytes, status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


WAV = file_of(hum(8000, 3), 8000)
LONG, PART_BYTES = file_of(hum(8000, 30), 8000), 300_000


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "MP3", "OGG"])
async def test_it_is_played(kind: str) -> None:
    with server(answer(file_of(hum(8000, 3), 8000, kind))) as (url, asked):
        source = await open_source(url, 8000, urls=HERE)
        first = await rest(source)
        assert source.error is None
        assert abs(len(first) - 24_000) <= 256
        assert source.rewind()
        assert np.array_equal(await rest(source), first), "asked for once, played twice"
        source.close()
    assert asked[0].startswith(b"GET /a%20b.wav?token=secret HTTP/1.1\r\nHost: 127.0.0.1:")


async def test_without_pyav_it_is_fetched_whole_and_played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with server(answer(WAV)) as (url, _):
        assert np.array_equal(await whole(url, 8000, urls=HERE), hum(8000, 3))


async def test_in_chunks_and_after_redirects() -> None:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (WAV[:50], WAV[50:]))
    body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    moved = [answer(b"", "302 Found", f"Location: {place}") for place in ("/b", "http://HOST/c", "d")]
    with server(*moved, body) as (url, asked):
        assert np.array_equal(await whole(url, 8000, urls=HERE), hum(8000, 3))
    assert [line.split()[1] for line in asked[1:]] == [b"/b", b"/c", b"/d"]


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([answer(b"<p>", "404 Not Found")], "the answer is 404 Not Found"),
        ([answer(b"<p>Hello", "200 OK", "Content-Type: text/html")], "is no audio that can be decoded"),
        ([answer(b"")], "is empty"),
        ([answer(b"", length=10**9)], "1000000000 bytes are more than the 67108864 allowed"),
        ([answer(b"x", "200 OK", "Content-Encoding: gzip")], "Content-Encoding gzip"),
        ([b"SSH-2.0-OpenSSH\r\n"], "no HTTP answer"),
        ([b""], "no HTTP answer"),
        ([answer(b"", "302 Found", "Location: /again")] * 4, "more than 3 redirects"),
        ([answer(b"", "302 Found", "Location: file:///etc/passwd")], "only http and https can be played, not file"),
    ],
)
async def test_what_is_no_audio(answers: list[bytes], says: str) -> None:
    with server(*answers) as (url, _), pytest.raises(PlaybackError, match=says) as raised:
        await open_source(url, 8000, urls=HERE)
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


async def test_a_server_that_stalls() -> None:
    with server(b"HTTP/1.1 200", hangs=True) as (url, _), pytest.raises(PlaybackError, match="stalled"):
        await open_source(url, 8000, urls=HERE)
    with server(answer(LONG[:PART_BYTES], length=len(LONG)), hangs=True) as (url, _):
        source = await open_source(url, 8000, urls=HERE)
        assert 100_000 < len(await rest(source)) < 150_000
        assert "stalled" in str(source.error)
        source.close()
    with server(b"", hangs=True) as (url, _), pytest.raises(PlaybackError, match=r"nothing to play after 0\.2 s"):
        await open_source(url, 8000, urls=replace(HERE, open_s=0.2, stall_s=20))


async def test_a_connection_that_breaks() -> None:
    with server(answer(LONG[:PART_BYTES], length=len(LONG))) as (url, _):
        source = await open_source(url, 8000, urls=HERE)
        await rest(source)
        assert f"the connection ended {len(LONG) - PART_BYTES} bytes before the end" in str(source.error)
        source.close()


async def test_more_than_is_allowed() -> None:
    body = b"HTTP/1.1 200 OK\r\n\r\n" + LONG
    with server(body) as (url, _):
        source = await open_source(url, 8000, urls=replace(HERE, size_bytes=300_000))
        await rest(source)
        assert "more than the 300000 bytes allowed" in str(source.error)
        source.close()


class Dripping(ManualClock):
    """A clock that a second passes on whenever it is looked at: every piece has taken that long."""

    def now_ns(self) -> int:
        return self.advance(NS_PER_SECOND)


class TestSlowServers:
    """A byte now and then keeps every timeout of a socket quiet."""

    def line(self, pieces: int, size: int) -> tuple[Line, socket.socket]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for _ in range(pieces):
            theirs.send(bytes(size))
        line = Line("http://slow/a.wav", 10, Dripping())
        line.take(ours)
        return line, theirs

    def test_too_little_in_the_time_of_a_stall_is_refused(self) -> None:
        line, theirs = self.line(50, 499)
        with pytest.raises(
            PlaybackError, match=r"http://slow/a.wav comes too slowly to be played, 499 bytes/s; fetch"
        ):
            line.makefile().read()
        line.hang_up()
        theirs.close()

    def test_enough_is_not(self) -> None:
        line, theirs = self.line(50, 500)
        theirs.close()
        assert len(line.makefile().read()) == 25_000
        line.hang_up()

    @pytest.mark.parametrize("began", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 100 Continue\r\n\r\n"])
    async def test_what_is_given_up_is_not_waited_for(self, began: bytes) -> None:
        """However little of an answer has come: the worker is woken, and its thread ends."""
        rules = replace(HERE, open_s=0.2, stall_s=3600)
        before = threading.active_count()
        with server(began, hangs=True) as (url, _):
            with pytest.raises(PlaybackError, match=r"nothing to play after 0\.2 s"):
                await open_source(url, 8000, urls=rules)
            for thread in [thread for thread in threading.enumerate() if thread.name.startswith("url")]:
                await asyncio.to_thread(thread.join, 10)
                assert not thread.is_alive()
        assert threading.active_count() <= before + 1, "that of to_thread"

    async def test_no_further_address_is_tried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A name may have any number of addresses that do not answer."""
        tried: list[str] = []
        body = Body("http://many.example/", HERE)

        def refuse(address: tuple[str, int], timeout: float) -> None:
            tried.append(address[0])
            if len(tried) == 3:
                body.abort()
            raise TimeoutError

        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{n}", 80)) for n in range(200)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        monkeypatch.setattr(socket, "create_connection", refuse)
        with pytest.raises(PlaybackError, match="given up"):
            body.open()
        body.close()
        assert tried == ["192.0.2.0", "192.0.2.1", "192.0.2.2"]


class TestNamesThatChange:
    """DNS rebinding: what is judged is what is connected to, on every hop."""

    def names(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> tuple[list[str], list[str]]:
        """Let names resolve to each of `answers` in turn; return what is looked up and what is connected to."""
        looked_up: list[str] = []
        connected: list[str] = []
        self.servers: list[socket.socket] = []
        turns = iter(answers)

        def look_up(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
            looked_up.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in next(turns)]

        def connect(address: tuple[str, int], timeout: float) -> socket.socket:
            connected.append(address[0])
            ours, theirs = socket.socketpair()
            theirs.sendall(answer(b"", "302 Found", "Location: http://evil.example/again"))
            theirs.shutdown(socket.SHUT_WR)
            self.servers.append(theirs)
            return ours

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        monkeypatch.setattr(socket, "create_connection", connect)
        return looked_up, connected

    def test_a_name_that_becomes_private_is_refused_on_the_next_hop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        looked_up, connected = self.names(monkeypatch, ["8.8.8.8"], ["10.0.0.1"])
        body = Body("http://evil.example/", UrlRules())
        with pytest.raises(PlaybackError, match=r"10\.0\.0\.1 is no address of the public internet"):
            body.open()
        body.close()
        self.servers[0].close()
        assert looked_up == ["evil.example"] * 2, "once for each request, not again to connect"
        assert connected == ["8.8.8.8"]

    def test_of_several_addresses_only_public_ones_are_tried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _, connected = self.names(monkeypatch, ["127.0.0.1", "8.8.8.8", "169.254.169.254"], ["::1"])
        body = Body("http://evil.example/", UrlRules())
        with pytest.raises(PlaybackError, match="::1 is no address of the public internet"):
            body.open()
        body.close()
        self.servers[0].close()
        assert connected == ["8.8.8.8"]


async def test_a_bomb_is_not_unpacked() -> None:
    """Nothing is ever decompressed: encodings are refused however they are called."""
    bomb = gzip.compress(bytes(10 << 20))
    for header in ("Content-Encoding: gzip", "Content-Encoding: x-gzip, br", "Transfer-Encoding: gzip"):
        with (
            server(answer(bomb, "200 OK", header)) as (url, _),
            pytest.raises(PlaybackError, match=r"is no audio|comes with Content-Encoding"),
        ):
            await open_source(url, 8000, urls=HERE)


async def test_a_url_may_be_only_so_long() -> None:
    with pytest.raises(PlaybackError, match="a URL of 8001 characters; 8000 are allowed") as raised:
        await open_source("http://127.0.0.1/".ljust(8001, "a"), 8000, urls=HERE)
    assert len(str(raised.value)) < 200


class TestWhereItMayComeFrom:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "169.254.169.254", "0.0.0.0",
                                      "[::ffff:127.0.0.1]", "2130706433"])  # fmt: skip
    async def test_not_from_inside(self, host: str) -> None:
        with pytest.raises(PlaybackError, match=r"is no address of the public internet|cannot|not known|unsupported"):
            await open_source(f"http://{host}:9/", 8000)

    async def test_not_by_a_redirect_either(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The first address passes for a public one; it sends us to one that does not."""
        monkeypatch.setattr("media.talk.sources.urls.is_public", lambda address: address == "127.0.0.1")
        moved = answer(b"", "302 Found", "Location: http://127.0.0.2:9/")
        with (
            server(moved) as (url, _),
            pytest.raises(PlaybackError, match=r"127\.0\.0\.2 is no address of the public"),
        ):
            await open_source(url, 8000, urls=replace(HERE, allow_private=False))

    @pytest.mark.parametrize(
        ("address", "expected"),
        [("8.8.8.8", True), ("2606:4700::1111", True), ("192.168.1.1", False), ("172.16.0.1", False),
         ("100.64.0.1", False), ("224.0.0.1", False), ("255.255.255.255", False), ("fe80::1%eth0", False),
         ("fd00::1", False), ("::", False), ("::ffff:10.0.0.1", False), ("64:ff9b::7f00:1", False),
         ("2002:7f00:1::", False), ("ff0e::1", False), ("fec0::1", False), ("feff::1", False)],
    )  # fmt: skip
    def test_addresses(self, address: str, expected: bool) -> None:
        assert is_public(address) is expected

    @pytest.mark.parametrize(
        ("url", "says"),
        [("ftp://example.com/a", "only http and https"), ("http://", "no host"),
         ("http://u:p@127.0.0.1/", "user name"),
         ("http://127.0.0.1:99999/", "[Pp]ort"), ("http://[::1/", "IPv6"), ("http://a..b/", "label|not known|idna")],
    )  # fmt: skip
    async def test_urls_that_are_none(self, url: str, says: str) -> None:
        with pytest.raises(PlaybackError, match=says):
            await open_source(url, 8000, urls=HERE)
