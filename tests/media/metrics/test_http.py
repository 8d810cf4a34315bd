"""``/metrics`` of a server: what Prometheus reads, and nothing else."""

from __future__ import annotations

import contextlib
import socket
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from media.carrier.options import SimulationOptions, Transport
from media.config import Endpoint
from media.metrics import http
from media.metrics.families import families
from media.metrics.http import serving
from media.metrics.totals import Totals
from tests.media.recorded import record
from tests.patience import PATIENCE_S

LOOPBACK = Endpoint("127.0.0.1", 0)


def fetch(where: Endpoint, path: str = "/metrics") -> str:
    with urllib.request.urlopen(f"http://{where}{path}", timeout=PATIENCE_S) as answer:
        body: bytes = answer.read()
    return body.decode()


def samples(text: str) -> dict[str, Any]:
    """Return the values by name and labels, as Prometheus reads them."""
    return {
        sample.name + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_who_has_no_token_sees_nothing() -> None:
    with serving(LOOPBACK, lambda: families(Totals()), "wörd") as where:
        url = f"http://{where}/metrics"
        for given in ({}, {"Authorization": "Bearer word"}, {"Authorization": "wörd".encode().decode("latin-1")}):
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(urllib.request.Request(url, headers=given), timeout=60)
        shown = {"Authorization": "Bearer " + "wörd".encode().decode("latin-1")}
        with urllib.request.urlopen(urllib.request.Request(url, headers=shown), timeout=60) as answer:
            assert b"strep_worker_up" in answer.read()


def _connect(held: contextlib.ExitStack, where: Endpoint) -> socket.socket:
    return held.enter_context(socket.create_connection((where.host, where.port), timeout=PATIENCE_S))


def recorded(directory: Path) -> list[str]:
    names = [path.stem for path in directory.glob("*.wav")]
    assert names
    return names


async def served(directory: Path, options: SimulationOptions) -> tuple[str, dict[str, Any]]:
    """Return the metrics of a server that has had calls."""
    server, _, _ = await record(directory, options)
    totals = Totals()
    totals.report(0, server.snapshot())
    totals.is_up[0] = True
    with serving(LOOPBACK, lambda: families(totals)) as where:
        text = fetch(where)
    return text, samples(text)


class TestFamilies:
    async def test_of_a_server_that_had_calls(self, tmp_path: Path) -> None:
        text, values = await served(tmp_path, SimulationOptions(calls=2, seconds=0.5))
        assert values["strep_calls_started_total"] == values["strep_calls_ended_total"] == 2
        assert values["strep_calls"] == values["strep_conservation_errors_total"] == 0
        assert values["strep_received_total door=udp"] == 100
        assert values["strep_received_total door=rtp tap"] == 0
        assert values["strep_recordings_ended_total"] == 2
        assert values["strep_sink_delivered_blocks_total sink=recording"] > 0
        assert values["strep_worker_up worker=0"] == 1
        assert values["strep_worker_restarts_total worker=0"] == 0
        assert not [name for name in recorded(tmp_path) if name in text]

    async def test_of_media_streams(self, tmp_path: Path) -> None:
        _, values = await served(tmp_path, SimulationOptions(Transport.WEBSOCKET, seconds=0.2))
        assert values["strep_received_total door=ws"] > 20
        assert sum(value for name, value in values.items() if name.startswith("strep_ws_closed_total")) == 1

    def test_before_the_first_report_there_is_nothing_but_the_worker(self) -> None:
        described = {family.name: family.samples for family in families(Totals())}
        assert all(not samples or name.startswith("strep_worker") for name, samples in described.items())

    def test_all_of_them_have_a_sentence(self) -> None:
        for family in families(Totals()):
            assert family.documentation.endswith("."), family.name


class TestServer:
    def test_other_paths_are_not_found(self) -> None:
        with serving(LOOPBACK, lambda: ()) as where:
            assert fetch(where) == ""
            for path in ("/", "/metrics/x", "/favicon.ico"):
                with pytest.raises(urllib.error.HTTPError, match="404") as error:
                    fetch(where, path)
                error.value.close()

    def test_ipv6(self) -> None:
        with serving(Endpoint("::1", 0), lambda: families(Totals())) as where:
            assert str(where).startswith("[::1]:")
            assert "strep_worker_up" in fetch(where)

    def test_a_client_that_says_nothing_holds_up_nobody(self) -> None:
        with serving(LOOPBACK, lambda: families(Totals())) as where:
            with socket.create_connection((where.host, where.port)):
                assert "strep_worker_up" in fetch(where)
            assert "strep_worker_up" in fetch(where)

    def test_connections_on_which_nothing_is_asked_are_few(self) -> None:
        """A thread each there is for so many; of further ones nothing is read, and when they go there is room."""
        with serving(LOOPBACK, lambda: families(Totals())) as where, contextlib.ExitStack() as held:
            silent = [_connect(held, where) for _ in range(http.MAX_REQUESTS)]
            assert all(_connect(held, where).recv(1) == b"" for _ in range(50))
            assert (
                sum("process_request_thread" in thread.name for thread in threading.enumerate()) <= http.MAX_REQUESTS
            )
            for client in silent:
                client.close()
            while True:  # until the threads have seen it
                with contextlib.suppress(OSError):
                    assert "strep_worker_up" in fetch(where)
                    break

    def test_a_client_that_says_a_byte_now_and_then_is_closed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(http, "REQUEST_TIMEOUT_S", 0.2)
        with serving(LOOPBACK, lambda: families(Totals())) as where, contextlib.ExitStack() as held:
            client = _connect(held, where)
            client.settimeout(0.02)
            with contextlib.suppress(ConnectionError):
                while True:
                    client.send(b"x")
                    with contextlib.suppress(TimeoutError):
                        if client.recv(1) == b"":
                            break

    def test_no_web_page_reads_it(self) -> None:
        """Neither one of another origin nor one whose name leads here (DNS rebinding)."""
        with serving(LOOPBACK, lambda: ()) as where:
            for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
                request = urllib.request.Request(f"http://{where}/metrics", headers=headers)
                with pytest.raises(urllib.error.HTTPError, match="403") as error:
                    urllib.request.urlopen(request, timeout=PATIENCE_S)
                error.value.close()

    def test_the_port_is_free_afterwards(self) -> None:
        with serving(LOOPBACK, lambda: ()) as where:
            pass
        with serving(where, lambda: ()) as again:
            assert again == where
