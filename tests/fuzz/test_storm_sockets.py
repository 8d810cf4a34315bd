"""Mutated datagrams through a whole server: real sockets, recordings, and every datagram is found again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket

import numpy as np
import pytest

from media import Server, ServerConfig
from media.config import Endpoint
from tests.fuzz.storms.datagrams import VICTIM, VICTIMS, Traffic
from tests.fuzz.storms.mutation import mutate
from tests.http.door import until
from tests.searching import IS_LONG

pytestmark = pytest.mark.realtime
BURST = 50
"""So many are sent before it is waited until they have come: on a slow machine no queue must overflow."""
BURSTS = 4000 if IS_LONG else 40


async def storm(server: Server) -> int:
    """Send; return how many."""
    traffic, random, sent = Traffic(VICTIMS, VICTIM, first_leg=100, is_strep=True), np.random.default_rng(1), 0
    host, _, port = server.addresses["udp"].rpartition(":")
    with socket(AF_INET, SOCK_DGRAM) as sock:
        for number in range(BURSTS):
            table = traffic.table(number, random.integers(0, traffic.tracks, BURST))
            mutate(table, random, is_strep=True)
            for row, length in zip(table.rows, table.length.tolist(), strict=True):
                sock.sendto(row[:length].tobytes().ljust(length, b"\0"), (host, int(port)))
            sent += BURST
            async with asyncio.timeout(60):
                await until(lambda sent=sent: server.doors.strep.datagrams >= sent)  # type: ignore[misc]
    return sent


async def test_every_datagram_is_in_a_report_or_counted_under_a_reason(tmp_path: Path) -> None:
    config = ServerConfig(udp=Endpoint("127.0.0.1", 0), record=tmp_path, max_tracks=100)
    async with Server(config) as server:
        sent = await storm(server)
    door, received = server.doors.strep, 0
    for path in sorted(tmp_path.glob("*.json")):  # noqa: ASYNC240 - the server has ended
        document = json.loads(path.read_bytes())
        assert document["state"] == "complete"
        received += sum(track["statistics"]["received"] for track in document["tracks"])
    assert door.datagrams == sent == received + int(door.rejected.sum())
    assert received > 0.2 * sent
    assert server.engine.conservation_errors == 0
    assert not server.unfinished_sinks
