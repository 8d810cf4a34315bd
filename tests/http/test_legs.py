"""Legs are announced and taken back over HTTP, by the control API and by the carrier's webhooks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from pathlib import Path
from uuid import UUID

import pytest

from media.alarms.watch import Alarms
from media.carrier.announcing import STARTED, STOPPED
from media.http import bodies, house
from media.http.api import ApiError
from media.http.carrier import PATH
from media.http.legs import MAX_BODY_BYTES
from media.webhooks import incoming as incoming_module
from media.webhooks.incoming import Incoming
from media.webhooks.signing import Signer, Verifier, make_key
from strep.clock import NS_PER_SECOND, ManualClock
from tests.http.door import Hall, hall
from tests.webhooks.test_incoming import body

pytestmark = pytest.mark.realtime
LEG = UUID(int=1)


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return make_key(tmp_path / "carrier.pem")


def taking(signer: Signer) -> Incoming:
    return Incoming(Verifier([signer.public_key]))


def now_ns(found: Hall) -> int:
    return found.world.clock.wall_ns()


async def post(found: Hall, signer: Signer, sent: bytes) -> tuple[int, str]:
    """Return status and outcome, or the code of the error."""
    headers = signer.headers(sent, now_ns(found) // NS_PER_SECOND)
    status, document, _ = await found.get(PATH, "POST", sent, **headers)
    return status, document["outcome"] if status == 200 else document["error"]["code"]


class TestControl:
    async def test_announce_look_and_take_back(self) -> None:
        async with hall() as found:
            said = json.dumps({"call_leg_id": str(LEG).upper(), "expires_s": 600}).encode()
            status, document, _ = await found.get("/v1/legs", "POST", said)
            assert (status, document) == (201, {"call_leg_id": str(LEG), "expires_s": 600})
            document = (await found.get("/v1/legs"))[1]
            assert (document["mode"], document["announced"], document["waiting"]) == ("registered", 1, [])
            assert found.strep.guard.announced.has((0, 1), found.world.clock.now_ns() + 600 * NS_PER_SECOND)
            assert not found.strep.guard.announced.has((0, 1), found.world.clock.now_ns() + 601 * NS_PER_SECOND)
            assert (await found.get(f"/v1/legs/{LEG}", "DELETE"))[0] == 200
            status, document, _ = await found.get(f"/v1/legs/{LEG}", "DELETE")
            assert (status, document["error"]["code"]) == (404, "no_such_leg")
            assert len(found.strep.guard.announced) == 0

    @pytest.mark.parametrize(
        ("sent", "status", "code"),
        [
            (b"", 400, "body"),
            (b"[]", 400, "body"),
            (b'{"call_leg_id": 1}', 400, "body"),
            (b'{"call_leg_id": "x"}', 400, "call_leg_id"),
            (b'{"call_leg_id": "../../../../../../etc/passwd000000"}', 400, "call_leg_id"),
            (b'{"call_leg_id": "00000000-0000-0000-0000-000000000001", "expires_s": 0}', 400, "body"),
            (b'{"call_leg_id": "00000000-0000-0000-0000-000000000001", "expires_s": 1e9}', 400, "body"),
            (b'{"call_leg_id": "00000000-0000-0000-0000-000000000001", "expires": 5}', 400, "body"),
            (b"[" * (MAX_BODY_BYTES - 1), 400, "body"),
            (b"[" * (MAX_BODY_BYTES + 1), 413, "too_large"),
        ],
    )
    async def test_what_is_no_announcement(self, sent: bytes, status: int, code: str) -> None:
        async with hall() as found:
            got, document, _ = await found.get("/v1/legs", "POST", sent)
            assert (got, document["error"]["code"]) == (status, code)
            assert len(found.strep.guard.announced) == 0

    async def test_it_takes_the_token(self) -> None:
        async with hall("secret") as found:
            sent = json.dumps({"call_leg_id": str(LEG)}).encode()
            assert (await found.get("/v1/legs", "POST", sent))[0] == 401
            assert (await found.get("/v1/legs"))[0] == 401
            assert (await found.get(f"/v1/legs/{LEG}", "DELETE"))[0] == 401
            assert (await found.get("/v1/legs", "POST", sent, Authorization="Bearer secret"))[0] == 201

    async def test_no_web_page_announces_a_leg(self) -> None:
        async with hall() as found:
            sent = json.dumps({"call_leg_id": str(LEG)}).encode()
            assert (await found.get("/v1/legs", "POST", sent, Origin="https://evil.example"))[0] == 403


class TestWebhooks:
    async def test_a_fork_is_announced_and_taken_back(self, signer: Signer) -> None:
        """Without the token, whatever name the request came by: the signature says who it is."""
        async with hall("secret", taking(signer)) as found:
            assert await post(found, signer, body(STARTED, LEG, now_ns(found))) == (200, "announced")
            assert found.strep.guard.announced.has((0, 1), found.world.clock.now_ns())
            assert await post(found, signer, body(STOPPED, LEG, now_ns(found) + 1000)) == (200, "withdrawn")
            assert len(found.strep.guard.announced) == 0
            assert found.door.snapshot()["carrier"] == {"announced": 1, "withdrawn": 1}

    async def test_what_was_taken_back_by_hand_is_not_announced_by_what_is_late(self, signer: Signer) -> None:
        """Nor if it was not announced yet; what occurs later announces it again, and so does the control API."""
        async with hall("secret", taking(signer)) as found:
            late = body(STARTED, LEG, now_ns(found) - 1000)
            for status in (404, 404):
                reply = await found.get(f"/v1/legs/{LEG}", "DELETE", Authorization="Bearer secret")
                assert reply[0] == status
                assert await post(found, signer, late) == (200, "outdated")
                assert len(found.strep.guard.announced) == 0
            assert await post(found, signer, body(STARTED, LEG, now_ns(found) + 1000)) == (200, "announced")
            assert len(found.strep.guard.announced) == 1

    async def test_what_is_not_the_carriers(self, signer: Signer, tmp_path: Path) -> None:
        async with hall("", taking(signer)) as found:
            other = make_key(tmp_path / "other.pem")
            sent = body(STARTED, LEG, now_ns(found))
            assert await post(found, other, sent) == (403, "bad_signature")
            status, document, _ = await found.get(PATH, "POST", sent)
            assert (status, document["error"]["code"]) == (401, "unsigned")
            assert await post(found, signer, b"rubbish") == (400, "malformed")
            assert await post(found, signer, bytes(incoming_module.MAX_BODY_BYTES + 1)) == (413, "too_large")
            assert (await found.get(PATH))[0] == 405
            snapshot = found.door.snapshot()
            assert snapshot["carrier"] == dict.fromkeys(["unsigned", "bad_signature", "malformed", "too_large"], 1)
            assert snapshot["refused"]["bad_signature"] == 1
            assert len(found.strep.guard.announced) == 0

    async def test_a_body_that_says_no_length_is_bounded_too(self, signer: Signer) -> None:
        async with hall("", taking(signer)) as found:
            assert await asyncio.to_thread(chunked, found.netloc, b"x" * (incoming_module.MAX_BODY_BYTES + 1)) == 413

    async def test_what_follows_a_body_that_is_refused_is_not_read_for_long(self, signer: Signer) -> None:
        """A client that goes on and on is cut off, and does not hold its connection."""
        async with hall("", taking(signer)) as found:
            head = f"POST {PATH} HTTP/1.1\r\nHost: {found.netloc}\r\nContent-Length: 100000000\r\n\r\n".encode()
            assert b"413" in await asyncio.to_thread(drip, found.netloc, head)

    async def test_a_body_that_does_not_come(self, signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bodies, "BODY_TIMEOUT_S", 0.05)
        async with hall("", taking(signer)) as found:
            assert await asyncio.to_thread(chunked, found.netloc, None) == 408
            assert found.door.snapshot()["carrier"] == {"too_slow": 1}

    async def test_one_that_cannot_be_acted_on_is_asked_for_again(
        self, signer: Signer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with hall("", taking(signer)) as found:
            sent = body(STARTED, LEG, now_ns(found))
            with monkeypatch.context() as patch:
                patch.delattr(type(found.legs), "register")
                assert await post(found, signer, sent) == (503, "failed")
            assert await post(found, signer, sent) == (200, "announced")

    async def test_without_a_key_nothing_is_taken(self, signer: Signer) -> None:
        async with hall() as found:
            assert await post(found, signer, body()) == (404, "no_key")


async def test_who_is_ending_takes_no_announcements(signer: Signer) -> None:
    """Nor takes any back: the next process would not know. The carrier, or whoever it is, says it again."""
    async with hall("", taking(signer)) as found:
        found.legs.register(UUID(int=2))
        found.legs.is_ending = True
        said = json.dumps({"call_leg_id": str(LEG)}).encode()
        for path, method, sent in (("/v1/legs", "POST", said), (f"/v1/legs/{UUID(int=2)}", "DELETE", None)):
            status, document, _ = await found.get(path, method, sent)
            assert (status, document["error"]["code"]) == (503, "ending")
        for kind, leg in ((STARTED, LEG), (STOPPED, UUID(int=2))):
            assert await post(found, signer, body(kind, leg, now_ns(found))) == (503, "ending")
        assert [leg for leg, _ in found.strep.guard.announced.left(found.world.clock.now_ns())] == [(0, 2)]
        found.legs.is_ending = False  # and what was refused is not remembered as done
        assert await post(found, signer, body(STARTED, LEG, now_ns(found))) == (200, "announced")


async def test_readiness(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hall("secret") as found:
        assert (await found.get("/readyz"))[:2] == (200, {"status": "ready"})
        found.world.engine.shortage = "no room"
        assert (await found.get("/readyz"))[0] == 200  # as it was asked within this second
        found.world.clock.advance(NS_PER_SECOND)
        status, document, _ = await found.get("/readyz")
        assert (status, document["error"]["code"]) == (503, "not_ready")
        assert "no room" not in document["error"]["message"]
        found.world.engine.shortage = ""
        found.world.engine.draining_since_ns = found.world.clock.now_ns()
        found.world.clock.advance(NS_PER_SECOND)
        assert (await found.get("/readyz"))[0] == 503
        assert (await found.get("/healthz"))[0] == 200
    assert isinstance(found.world.clock, ManualClock)


async def test_the_health_of_a_server_that_hangs() -> None:
    async with hall() as found:
        alarms = Alarms(dict, found.world.clock)
        assert found.door._api is not None
        found.door._api.alarms = alarms.report
        alarms.look()
        for age_s, status in ((30, 200), (31, 503)):
            found.world.clock.advance(age_s * NS_PER_SECOND)
            assert (await found.get("/healthz"))[0] == status
            alarms.look()
        found.world.clock.advance(NS_PER_SECOND)
        assert (await found.get("/healthz"))[0] == 200


async def test_a_media_loop_that_hangs_is_not_waited_for(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks is told so; what was asked for is not done later, behind the client's back."""
    monkeypatch.setattr(house, "ANSWER_TIMEOUT_S", 0.05)
    hanging = asyncio.new_event_loop()
    async with hall("", taking(signer)) as found:
        assert found.door._api is not None
        asked = found.door._api.house = house.OneServer(found.world.engine, found.legs, hanging)
        with pytest.raises(ApiError, match="too busy"):
            await asked.register(LEG, 60)
        assert (await found.get("/readyz"))[0] == 503
        await asyncio.to_thread(hanging.run_until_complete, asyncio.sleep(0.01))  # it goes on
        hanging.close()
        assert len(found.strep.guard.announced) == 0


def drip(netloc: str, head: bytes) -> bytes:
    """Send a head, and then a byte again and again until the connection is closed; return what came first."""
    host, _, port = netloc.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.sendall(head)
        answer = client.recv(100)
        client.settimeout(0.02)
        with contextlib.suppress(ConnectionError):
            while True:
                client.send(b"x")
                with contextlib.suppress(TimeoutError):
                    if client.recv(1000) == b"":
                        break
    return answer


def chunked(netloc: str, sent: bytes | None) -> int:
    """Post in chunks, or promise a body and send none; return the status."""
    host, _, port = netloc.rpartition(":")
    head = f"POST {PATH} HTTP/1.1\r\nHost: {netloc}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.sendall(head)
        if sent is not None:
            client.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(sent), sent))
        return int(client.recv(100).split()[1])
