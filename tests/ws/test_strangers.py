"""Who has not shown who he is: turned away early, bounded, and never at the cost of those who have."""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
from dataclasses import replace
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from media.admission.credentials import AUTH_HEADER
from media.admission.tokens import TokenGate, sign
from media.admission.twilio import HEADER
from media.ws.options import ConnectionOptions
from media.ws.reject import WsReject
from tests.ws.doors import PATIENT, closing, open_door
from tests.ws.fakes import connected, media, start

pytestmark = pytest.mark.realtime

TOKEN, KEY = "a-token-of-enough-characters", b"k" * 32


def gated(**options: Any) -> Any:
    return replace(PATIENT, gate=TokenGate([TOKEN], KEY), **options)


class TestTokens:
    @pytest.mark.parametrize("header", [{AUTH_HEADER: TOKEN}, {"Authorization": f"Bearer {TOKEN}"}])
    async def test_in_a_header(self, header: dict[str, str]) -> None:
        async with open_door(gated()) as door, connect(door.url, additional_headers=header) as client:
            await client.send(start())
            await door.host.until("started")

    @pytest.mark.parametrize("where", ["{url}/{token}", "{url}?token={token}"])
    async def test_in_the_address(self, where: str, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        async with open_door(gated()) as door, connect(where.format(url=door.url, token=TOKEN)) as client:
            await client.send(start())
            await door.host.until("started")
        logged = [record.getMessage() for record in caplog.records if record.name.startswith("media.")]
        assert logged
        assert not any(TOKEN in line for line in logged)

    @pytest.mark.parametrize(
        "frames",
        [
            [connected(connected={AUTH_HEADER: TOKEN}), start()],
            [start(body={"custom_parameters": {"token": TOKEN}})],
        ],
    )
    async def test_in_the_frames(self, frames: list[str]) -> None:
        async with open_door(gated()) as door, connect(door.url) as client:
            for frame in frames:
                await client.send(frame)
            await door.host.until("started")

    @pytest.mark.parametrize("token", ["another-token-as-long-as-it", "x", sign(KEY, 1, "nonce")])
    async def test_a_wrong_one_is_refused_in_the_handshake(self, token: str) -> None:
        async with open_door(gated()) as door:
            with pytest.raises(InvalidStatus) as refused:
                await connect(door.url, additional_headers={AUTH_HEADER: token})
            assert refused.value.response.status_code == 401
            assert b"A token is needed" in (refused.value.response.body or b"")
            assert door.server.snapshot().turned_away == {401: 1}

    async def test_none_at_all_is_refused_at_the_start_frame(self) -> None:
        async with open_door(gated()) as door:
            async with connect(door.url) as client:
                await client.send(connected())
                await client.send(start())
                assert await closing(client) == (1008, "refused: no token")
            await door.settled(1)
            assert door.host.calls == []
            assert door.server.snapshot().rejected == {WsReject.UNAUTHORIZED: 1}

    async def test_a_request_that_twilio_has_signed(self) -> None:
        options = gated(twilio_auth_token="12345", public_url="wss://media.example.com/")
        mac = hmac.digest(b"12345", b"wss://media.example.com/media", "sha1")
        signature = base64.b64encode(mac).decode()
        async with open_door(options) as door:
            async with connect(door.url, additional_headers={HEADER: signature}) as client:
                await client.send(start())
                await door.host.until("started")
            async with connect(door.url, additional_headers={HEADER: signature[::-1]}) as client:
                await client.send(start("other"))
                assert (await closing(client))[0] == 1008


class TestCrowds:
    async def test_half_open_sockets_do_not_keep_callers_out(self) -> None:
        """300 that say nothing, half of them behind the handshake; 10 calls in their midst."""
        async with open_door(replace(PATIENT, max_strangers=50)) as door:
            silent, opened, callers = [], [], []
            for number in range(300):
                if number % 2:
                    silent.append(await asyncio.open_connection(door.address, door.port))
                else:
                    opened.append(await connect(door.url))
                if number % 30 == 0:
                    callers.append(await connect(door.url))
                    await callers[-1].send(start(f"stream-{number}"))
                    await door.host.until("started", len(callers))
                assert len(door.server._desk.crowd) <= 50
            for number, caller in enumerate(callers):
                await caller.send(media(1, 2, stream_id=f"stream-{30 * number}"))
            await door.host.until("media", len(callers))
            assert door.server._desk.crowd.expelled >= 250
            for client in callers + opened:
                await client.close()
            for _, writer in silent:
                writer.close()

    async def test_connections_of_one_address(self) -> None:
        async with open_door(replace(PATIENT, max_connections_per_address=2)) as door:
            first, second = await connect(door.url), await connect(door.url)
            with pytest.raises(InvalidStatus) as refused:
                await connect(door.url)
            assert refused.value.response.status_code == 503
            await first.close()
            await door.settled(1)
            third = await connect(door.url)
            await second.close()
            await third.close()

    async def test_much_without_a_start_frame(self) -> None:
        async with open_door() as door, connect(door.url) as client:
            await client.send('{"event":"connected","x":"' + "x" * (64 << 10) + '"}')
            code, reason = await closing(client)
            assert code == 1008
            assert reason is not None
            assert reason.endswith("bytes without a start frame")

    async def test_more_than_any_carrier_sends(self) -> None:
        """Judged at a ping: more than 100 messages in its 0.1 s."""
        options = ConnectionOptions(max_messages_per_s=1000)
        async with (
            open_door(replace(PATIENT, ping_interval_s=0.01, ping_timeout_s=0.1, connection=options)) as door,
            connect(door.url, ping_interval=None) as client,
        ):
            await client.send(start())
            for number in range(5000):
                try:
                    await client.send(media(number + 1, number + 2))
                except Exception:
                    break
            assert await closing(client) == (1008, "more than 1000 messages a second")
