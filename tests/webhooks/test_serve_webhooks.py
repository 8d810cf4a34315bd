"""``strep serve --webhook``: a real process, real calls, and a receiver that is away when it is killed."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from media.carrier.options import SimulationOptions, WebSocketOptions
from media.carrier.simulation import Target
from media.webhooks.signing import make_key
from tests.media.serving import address, run, send, serving
from tests.webhooks.receiver import Posted, Receiver, free_port, until

CALLS, DIGITS = 3, 4
KEYED = SimulationOptions(calls=CALLS, seconds=2, websocket=WebSocketOptions(dtmf="1234"))
BEFORE_THE_KILL = CALLS * (1 + DIGITS)
"""The start of each call and its keys; a call that has no end was going on."""


def serving_webhooks(url: str, folder: Path, *arguments: str) -> Any:
    make_key(folder / "key.pem") if not (folder / "key.pem").exists() else None
    options = ["--udp", "127.0.0.1:0", "--idle-timeout", "10m", "--webhook", url]
    options += ["--webhook-key", "key.pem", "--webhook-spool", "spool"]
    return serving(*options, *arguments, folder=folder)


def spooled(folder: Path) -> dict[str, str]:
    """Return the ids of the events in the spool, and the process that each is of."""
    ids = {}
    for path in folder.glob("spool/*/*.json"):
        with suppress(FileNotFoundError, ValueError):  # it is gone by now, or only begun
            ids[json.loads(path.read_bytes())["data"]["id"]] = path.parent.name.rpartition("-")[2]
    return ids


def by_call(posted: list[Posted]) -> dict[str, list[tuple[int, str]]]:
    """Return number in the call and type of each event, each id once, as first seen."""
    calls: dict[str, list[tuple[int, str]]] = {}
    for one in {one.event_id: one for one in reversed(posted)}.values():
        calls.setdefault(one.call_id, []).append((one.data["payload"]["strep"]["sequence"], one.data["event_type"]))
    return {call_id: events[::-1] for call_id, events in calls.items()}


@pytest.mark.realtime
def test_a_kill_between_spool_and_delivery_loses_nothing(tmp_path: Path) -> None:
    with free_port() as port:
        url = f"http://127.0.0.1:{port}/hook"
    with serving_webhooks(url, tmp_path) as (process, addresses):
        send(KEYED, Target(udp=address(addresses["udp"])))
        until(lambda: len(spooled(tmp_path)) >= BEFORE_THE_KILL)
        process.send_signal(signal.SIGKILL)
        process.wait()
    left = spooled(tmp_path)
    assert len(left) == BEFORE_THE_KILL
    with Receiver(port=port) as receiver:
        with serving_webhooks(url, tmp_path) as (process, _):
            until(lambda: not spooled(tmp_path))
            process.terminate()
            process.wait()
        calls = by_call(receiver.posted)
    assert {one.event_id for one in receiver.posted} == left.keys()
    assert len(calls) == CALLS
    expected = [(1, "call.fork.started"), *((number, "call.dtmf.received") for number in range(2, 2 + DIGITS))]
    assert all(events == expected for events in calls.values())
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.mark.realtime
def test_a_worker_that_is_killed_leaves_its_deliveries_to_the_next(tmp_path: Path) -> None:
    """The one that takes its place has found them within seconds, while the supervisor goes on."""
    with free_port() as port:
        url = f"http://127.0.0.1:{port}/hook"
    with serving_webhooks(url, tmp_path, "--workers", "2") as (_, addresses):
        send(KEYED, Target(udp=address(addresses["udp"])))
        until(lambda: len(spooled(tmp_path)) >= BEFORE_THE_KILL)
        left = spooled(tmp_path)
        os.kill(int(next(iter(left.values()))), signal.SIGKILL)
        with Receiver(port=port) as receiver:
            until(lambda: left.keys() <= {one.event_id for one in receiver.posted})


class TestWhatCannotBe:
    def test_a_url_that_is_none(self) -> None:
        result = run("--udp", ":0", "--webhook", "app.example/hook")
        assert (result.exit_code, "is not http://HOST/" in result.output) == (2, True)

    def test_a_key_that_is_not_there(self, tmp_path: Path) -> None:
        result = run("--udp", ":0", "--webhook", "http://127.0.0.1:1/", "--webhook-key", str(tmp_path / "key.pem"))
        assert (result.exit_code, "strep keys" in result.output) == (2, True)

    def test_a_spool_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "spool").write_text("a file")
        result = run("--udp", ":0", "--webhook", "http://127.0.0.1:1/", "--webhook-spool", str(tmp_path / "spool"))
        assert (result.exit_code, "cannot keep webhooks in" in result.output) == (1, True)
