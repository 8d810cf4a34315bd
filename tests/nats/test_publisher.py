"""The publisher against a real server that dies, comes back, refuses and is full; nothing here looks at a clock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from media.nats.config import ServerOptions
from media.nats.message import Message
from media.nats.names import Place, Subjects, message_id
from media.nats.outbox import Outbox
from media.nats.publisher import Publisher
from media.nats.spool import Spool
from media.nats.stream import StreamOptions, wanted
from media.nats.waiting import Limits
from strep.clock import SystemClock
from strep.header import Direction
from tests.nats.nats_server import ask, everything, free_port, needs_nats, running, until
from tests.patience import PATIENCE_S

pytestmark = needs_nats
SUBJECTS = Subjects()


def message(call: int, number: int, size_bytes: int = 400) -> Message:
    body = number.to_bytes(4, "little") + bytes(size_bytes - 4)
    subject = SUBJECTS.pcm(f"call-{call}", Direction.INBOUND)
    return Message(subject, message_id(f"call-{call}", "inbound", Place(1, number)), body)


@contextmanager
def publishing(
    url: str, spool: Path | None = None, limits: Limits | None = None, **stream: Any
) -> Iterator[Publisher]:
    outbox = Outbox(limits or Limits(), Spool.open(spool, 64 << 20) if spool else None)
    config = wanted(StreamOptions(**stream), SUBJECTS)
    publisher = Publisher(ServerOptions((url,)), config, outbox, SystemClock())
    publisher.start()
    try:
        yield publisher
    finally:
        publisher.request_stop(0)
        assert publisher.join(PATIENCE_S)


async def sent(publisher: Publisher) -> None:
    await until(lambda: publisher.snapshot()["waiting"] == publisher.snapshot()["spool_unread_bytes"] == 0)


def check_all(found: list[Any], calls: int, numbers: int) -> None:
    by_subject: dict[str, list[int]] = {}
    for one in found:
        by_subject.setdefault(one.subject, []).append(int.from_bytes(one.data[:4], "little"))
    assert len(by_subject) == calls
    for told in by_subject.values():
        assert told == list(range(numbers))


async def test_a_server_that_is_killed_again_and_again(tmp_path: Path) -> None:
    calls, numbers = 50, 300
    with running(tmp_path / "nats") as server, publishing(server.url, tmp_path / "spool") as publisher:
        for number in range(numbers):
            assert all(publisher.offer([message(call, number) for call in range(calls)]))
            await asyncio.sleep(0)
            if number in (60, 120, 180, 240):
                await until(lambda: publisher.snapshot()["stored"])
                server.kill()
                await until(lambda: not publisher.snapshot()["connected"])
            if number in (100, 150, 181, 280):
                server.start()
                connects = publisher.connects
                await until(lambda connects=connects: publisher.connects > connects)
        await sent(publisher)
        totals = publisher.snapshot()
        assert totals["offered"] == totals["stored"] == calls * numbers
        assert totals["reconnects"] == 4
        assert totals["dropped"] == 0
        check_all(await everything(server.url), calls, numbers)


async def test_doubt_is_settled_without_the_duplicate_window(tmp_path: Path) -> None:
    """The stream remembers ids for 100 ms only, and the answers of the first connection never arrive."""
    with running(tmp_path / "nats") as server:
        outbox = Outbox(Limits())
        with publishing(server.url, duplicates_s=0.1) as publisher:
            publisher.offer([message(call, 0) for call in range(20)])
            await sent(publisher)
        outbox = Outbox(Limits())
        for call in range(20):
            for number in range(3):
                outbox.offer(message(call, number), 0)
        outbox.take(0)  # sent by a connection of which we know no more
        outbox.connection_lost()
        server.kill()  # what it remembers is what is younger than the window when it comes back
        await asyncio.sleep(0.2)
        server.start()
        config = wanted(StreamOptions(duplicates_s=0.1), SUBJECTS)
        publisher = Publisher(ServerOptions((server.url,)), config, outbox, SystemClock())
        publisher.start()
        await sent(publisher)
        publisher.request_stop(0)
        assert publisher.join(PATIENCE_S)
        assert publisher.snapshot()["known"] == 20
        check_all(await everything(server.url), 20, 3)


async def test_a_spool_of_a_process_that_was_killed(tmp_path: Path) -> None:
    """Half of what is in the spool is in the stream already, and the window is long over."""
    with running(tmp_path / "nats") as server:
        with publishing(server.url, duplicates_s=0.1) as publisher:
            for number in range(10):
                publisher.offer([message(call, number) for call in range(5)])
            await sent(publisher)
        await asyncio.sleep(0.2)
        server.kill()
        spool = Spool.open(tmp_path / "spool", 64 << 20)
        for number in range(20):
            for call in range(5):
                spool.append(message(call, number), 0, is_kept=False)
        spool.close()
        server.start()
        with publishing(server.url, tmp_path / "spool", duplicates_s=0.1) as publisher:
            await until(lambda: publisher.snapshot()["recovered"] == 100)
            publisher.offer([message(call, 20) for call in range(5)])
            await sent(publisher)
            assert publisher.snapshot()["known"] == 50
        check_all(await everything(server.url), 5, 21)
    assert list(Path(tmp_path).rglob("*.spool")) == []  # noqa: ASYNC240


async def test_no_server_at_the_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    limits = Limits(memory_bytes=10_000, patience_ns=0)
    with publishing(f"nats://127.0.0.1:{free_port()}", limits=limits) as publisher:
        assert "Connection refused" in await asyncio.wrap_future(publisher.first)
        taken = publisher.offer([message(0, number) for number in range(100)])
        assert 0 < sum(taken) < 100
        totals = publisher.snapshot()
        assert totals["waiting_bytes"] <= 10_000
        assert totals["dropped"] == 100 - sum(taken)
        assert "refused" in totals["trouble"]
    assert any("refused" in record.getMessage() for record in caplog.records)
    assert any("no room" in record.getMessage() for record in caplog.records)
    assert f"{sum(taken)} messages were not sent and are lost" in caplog.text


async def test_wrong_credentials(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    users = "authorization { user: strep, password: right }"
    with running(tmp_path / "nats", config=users, user="strep:right@") as server:
        wrong = server.url.replace("right", "wrong")
        with publishing(wrong) as publisher:
            assert "Authorization Violation" in await asyncio.wrap_future(publisher.first)
        assert "wrong" not in caplog.text, "the password is in no log"
        with publishing(server.url) as publisher:
            assert await asyncio.wrap_future(publisher.first) == ""


async def test_jetstream_that_is_off(tmp_path: Path) -> None:
    with running(tmp_path / "nats") as server:
        config = server.directory / "nats.conf"
        config.write_text(config.read_text().splitlines()[0])
        server.kill()
        server.start()
        with publishing(server.url) as publisher:
            assert "JetStream is off" in await asyncio.wrap_future(publisher.first)


async def test_a_server_without_tls_is_not_told_the_password(tmp_path: Path) -> None:
    heard = bytearray()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.9.10","max_payload":1048576,"auth_required":true}\r\n')
        await writer.drain()
        heard.extend(await reader.read())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with publishing(f"tls://strep:secret@127.0.0.1:{port}") as publisher:
        assert "does not offer TLS" in await asyncio.wrap_future(publisher.first)
    server.close()
    assert b"secret" not in heard


class TestTheStream:
    async def test_is_created_as_wanted(self, tmp_path: Path) -> None:
        with (
            running(tmp_path / "nats") as server,
            publishing(server.url, max_age_s=60, max_bytes=1 << 20) as publisher,
        ):
            await asyncio.wrap_future(publisher.first)
            found = await ask(server.url, "STREAM.INFO.STREP")
        expected = wanted(StreamOptions(max_age_s=60, max_bytes=1 << 20), SUBJECTS)
        assert {name: found["config"][name] for name in expected} == expected

    async def test_that_does_not_fit_is_told_field_by_field(self, tmp_path: Path) -> None:
        with running(tmp_path / "nats") as server:
            with publishing(server.url, max_age_s=180) as publisher:
                await asyncio.wrap_future(publisher.first)
            with publishing(server.url, max_age_s=240, max_bytes=1 << 20) as publisher:
                said = await asyncio.wrap_future(publisher.first)
        assert "max_age is 3m, not 4m" in said
        assert "max_bytes is 10GiB, not 1MiB" in said
        assert "duplicate_window" not in said

    async def test_that_is_deleted_comes_back(self, tmp_path: Path) -> None:
        with running(tmp_path / "nats") as server, publishing(server.url) as publisher:
            publisher.offer([message(0, 0)])
            await sent(publisher)
            await ask(server.url, "STREAM.DELETE.STREP")
            publisher.offer([message(0, 1)])
            await sent(publisher)
            (found,) = await everything(server.url)
            assert found.data == message(0, 1).body

    async def test_that_is_full_is_told(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        with running(tmp_path / "nats") as server:
            with publishing(server.url, max_bytes=100_000) as publisher:
                publisher.offer([message(0, number, 1000) for number in range(300)])
                await sent(publisher)
            found = await everything(server.url)
            assert len(found) < 100
            assert found[-1].data == message(0, 299, 1000).body, "the oldest go, the newest stay"
            with caplog.at_level(logging.WARNING), publishing(server.url, max_bytes=100_000) as publisher:
                await until(lambda: "is full" in publisher.snapshot().get("trouble", ""))
