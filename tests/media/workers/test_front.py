"""The HTTP door of several workers: legs reach their own, calls of all are listed, tokens are used once."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import socket
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import Mock
from uuid import UUID

import pytest

from media.admission.tokens import new_token, sign
from media.carrier.announcing import Announcer
from media.carrier.options import SimulationOptions, Transport, WebSocketOptions
from media.carrier.pacing import Instant
from media.carrier.simulation import Simulation, Target
from media.config import Endpoint, LogConfig, ServerConfig
from media.webhooks.signing import make_key
from media.workers.process import WorkerProcess
from media.workers.steering import is_supported, worker_of, worker_of_leg
from media.workers.supervisor import Supervisor
from strep.header import Direction, Leg, StrepHeader, serialize
from tests.media.serving import address, serving
from tests.media.workers.processes import children, leg_ids, metrics
from tests.patience import wait_until

pytestmark = [pytest.mark.realtime, pytest.mark.skipif(not is_supported(), reason="needs Linux")]
TOKEN = "a-long-random-word"


def ask(netloc: str, path: str, document: Any = None, method: str | None = None) -> tuple[int, Any]:
    """Return status and JSON of a reply."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    sent = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(f"http://{netloc}{path}", sent, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_the_worker_of_a_leg_is_the_one_of_its_datagrams() -> None:
    for number in range(200):
        leg = UUID(int=number * 0x1_0001_0001_0001_0001)
        datagram = serialize(StrepHeader(leg, Leg.A, Direction.INBOUND)) + b"\x80" + bytes(11)
        assert worker_of_leg(leg.bytes, 3) == worker_of(datagram, 3)


def test_legs_reach_their_workers_and_calls_of_all_are_listed(tmp_path: Path) -> None:
    """Webhooks that come behind the audio, a worker that is replaced, and what its successor knows."""
    signer = make_key(tmp_path / "carrier.pem")
    arguments = ["--udp", ":0", "--workers", "2", "--record", str(tmp_path / "record"), "--idle-timeout", "300"]
    arguments += ["--udp-legs", "registered", "--http", ":0", "--telnyx-public-key", signer.public_key]
    arguments += ["--drain-timeout", "0", "--metrics", ":0", "--udp-leg-wait", "5m"]
    simulation = Simulation(SimulationOptions(calls=8, seconds=0.5))
    names = leg_ids(simulation)
    with serving(*arguments, STREP_HTTP_TOKEN=TOKEN) as (process, addresses):
        http, target = addresses["http"], Target(udp=address(addresses["udp"]))
        assert ask(http, "/v1/calls") == (200, {"total": 0, "calls": []})
        workers = children(process.pid)
        for name in names[:-1]:
            assert ask(http, "/v1/legs", {"call_leg_id": name})[0] == 201
        asyncio.run(simulation.run(target, Instant()))
        wait_until(lambda: ask(http, "/v1/calls")[1]["total"] == 7)
        wait_until(lambda: ask(http, "/v1/legs")[1]["waiting_datagrams"] == 50)
        status, document = ask(http, "/v1/legs")
        assert (status, document["announced"], document["mode"]) == (200, 7, "registered")
        assert [one["call_leg_id"] for one in document["waiting"]] == names[-1:]
        assert ask(http, "/v1/legs", {"call_leg_id": names[-1]})[0] == 201
        wait_until(lambda: ask(http, "/v1/calls")[1]["total"] == 8)
        listed = ask(http, "/v1/calls")[1]["calls"]
        assert sorted(call["call_id"] for call in listed) == names
        pages = [ask(http, f"/v1/calls?offset={at}&limit=3")[1]["calls"] for at in (0, 3, 6, 9)]
        assert [call["call_id"] for page in pages for call in page] == [call["call_id"] for call in listed]
        assert ask(http, f"/v1/calls/{names[3]}")[1]["call_id"] == names[3]
        assert ask(http, "/v1/calls/nobody")[0] == 404
        assert ask(http, "/v1/pcm")[0] == ask(http, f"/v1/calls/{names[3]}/pcm")[0] == 426
        assert ask(http, "/v1/calls/x/pcm")[0] == 404
        for pid in workers[:2]:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: ask(http, "/v1/legs")[0] == 200 and ask(http, "/v1/legs")[1]["announced"] == 8)
        wait_until(lambda: ask(http, "/readyz")[0] == 200)
        asyncio.run(Simulation(SimulationOptions(calls=8, seconds=0.5)).run(target, Instant()))
        wait_until(lambda: ask(http, "/v1/calls")[1]["total"] == 8)  # announced to those who are gone
        assert ask(http, f"/v1/legs/{names[0]}", method="DELETE")[0] == 200
        assert ask(http, f"/v1/legs/{names[0]}", method="DELETE")[0] == 404
        wait_until(lambda: metrics(addresses["metrics"]).get('strep_http_refused_total{code="no_such_leg"}') == 1)
        process.terminate()
        _, errors = process.communicate(timeout=110)
    assert "Traceback" not in errors, errors


def test_webhooks_of_the_simulated_carrier(tmp_path: Path) -> None:
    """The whole chain: the carrier announces each leg some time after it began, and nothing of it is lost."""
    signer = make_key(tmp_path / "carrier.pem")
    record = tmp_path / "record"
    arguments = ["--udp", ":0", "--workers", "2", "--record", str(record), "--drain-timeout", "0"]
    arguments += ["--udp-legs", "registered", "--http", ":0", "--telnyx-public-key", signer.public_key]
    arguments += ["--udp-leg-wait", "5m"]
    simulation = Simulation(SimulationOptions(calls=6, seconds=0.5))
    with serving(*arguments) as (process, addresses):
        url = f"http://{addresses['http']}/v1/webhooks/telnyx"
        announcer = Announcer(url, tmp_path / "carrier.pem", delay_ns=200_000_000)
        asyncio.run(simulation.run(Target(udp=address(addresses["udp"])), announcer=announcer))
        wait_until(lambda: len(list(record.glob("*.json"))) == 6)
        process.terminate()
        _, errors = process.communicate(timeout=110)
    assert announcer.refused == {}
    assert "Traceback" not in errors, errors
    for name in leg_ids(simulation):
        document = json.loads((record / f"{name}.json").read_text())
        assert [track["totals"]["received"] for track in document["tracks"]] == [4000, 4000]


def test_a_signed_token_is_good_for_one_stream_whichever_worker_has_it(tmp_path: Path) -> None:
    """20 connections at a time share the workers: one token, many streams, one gets in."""
    key = tmp_path / "key.txt"
    key.write_text(new_token())
    arguments = ["--ws", ":0", "--workers", "3", "--ws-key-file", str(key), "--record", str(tmp_path / "record")]
    with serving(*arguments, "--drain-timeout", "0") as (process, addresses):
        token = sign(key.read_text().encode(), 1 << 40)

        async def dial(seed: int) -> None:
            options = SimulationOptions(
                Transport.WEBSOCKET, seconds=0.2, seed=seed, websocket=WebSocketOptions(auth_token=token)
            )
            await Simulation(options).run(Target(stream_url=f"ws://{addresses['ws']}/"), Instant())

        async def dial_all() -> None:
            await asyncio.gather(*(dial(seed) for seed in range(1, 21)), return_exceptions=True)

        asyncio.run(dial_all())
        process.terminate()
        process.communicate(timeout=110)
    assert len(list((tmp_path / "record").glob("*.wav"))) == 1


def test_an_address_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(AssertionError, match="cannot serve HTTP"),
            serving("--udp", ":0", "--workers", "2", "--http", f":{port}"),
        ):
            pass


async def test_where_the_doors_cannot_be_had_no_folder_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    key = tmp_path / "key.txt"
    key.write_text(new_token())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = ServerConfig(ws=Endpoint(*taken.getsockname()), ws_key_file=key)
        with pytest.raises(OSError, match="cannot accept WebSockets"):
            await Supervisor(config, LogConfig(), 2).start()
    assert await asyncio.to_thread(os.listdir, tmp_path) == ["key.txt"]


async def test_an_order_that_the_system_refuses_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is too long for its socket, say: those behind it are sent."""

    class Refusing:
        sent: ClassVar[list[bytes]] = []

        def fileno(self) -> int:
            return 0

        def send(self, data: bytes) -> None:
            if len(data) > 100:
                raise OSError(errno.EMSGSIZE, "too long")
            self.sent.append(data)

    worker = WorkerProcess()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(worker, "_control", Refusing())
            patch.setattr(worker, "_loop", Mock())
            worker._unsent.extend([b"a", bytes(200), b"b"])
            while worker._unsent:
                worker._write()
        assert Refusing.sent == [b"a", b"b"]
    finally:
        worker.signal(signal.SIGKILL)
        await worker.ended
