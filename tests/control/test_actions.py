"""Every action on a live call, over HTTP: what it is answered, what the caller hears, and what events tell of it."""

from __future__ import annotations

import base64
import socket
from pathlib import Path
from typing import Any, ClassVar

import pytest

from media.control import doing
from media.control.controls import DO
from media.control.table import ACTIONS
from media.talk import call as talking
from media.talk.call import LiveCall
from tests.control.acting import acting, wav
from tests.control.called import CONTENT, SPOKEN, calling, loudness, packed
from tests.media.world import audio
from tests.talk.live_calls import TONE, stream

pytestmark = pytest.mark.realtime


def test_each_action_has_somebody_who_does_it() -> None:
    assert DO.keys() == ACTIONS.keys()


class TestPlaying:
    async def test_a_file_in_the_body(self) -> None:
        async with calling() as (acted, carrier):
            data = await acted.done("playback_start", playback_content=CONTENT, client_state="c3RhdGU=")
            ended = await acted.event("playback_ended", playback_id=data["playback_id"])
            assert (ended["status"], ended["client_state"]) == ("completed", "c3RhdGU=")
            assert await acted.event("playback_started", playback_id=data["playback_id"])
            assert loudness(carrier) > 7000

    async def test_a_file_of_the_directory(self, tmp_path: Path) -> None:
        (tmp_path / "hello there.wav").write_bytes(wav(800))
        async with calling(media=tmp_path) as (acted, _):
            shown = await acted.done("playback_start", media_name="hello there.wav", loop="infinity")
            plays = (await acted.ask("/v1/calls/s1"))[1]["plays"]
            assert [play["label"] for play in plays] == ["hello there.wav"]
            await acted.done("playback_stop", playback_id=shown["playback_id"])
            data = await acted.done("playback_start", media_name="hello there.wav")
            await acted.event("playback_ended", playback_id=data["playback_id"], status="completed")
            assert (await acted.act("playback_start", media_name="none.wav"))[1]["code"] == "no_such_media"
            (tmp_path / "text.wav").write_text("no audio")
            status, error = await acted.act("playback_start", media_name="text.wav")
            assert (status, error["code"]) == (409, "cannot_play")

    async def test_a_url_inside_is_refused(self) -> None:
        async with calling() as (acted, _):
            for url in ("http://127.0.0.1:1/x.wav", "http://169.254.169.254/latest", "http://[::1]/"):
                status, error = await acted.act("playback_start", audio_url=url)
                assert (status, error["code"]) == (409, "cannot_play")
                assert "no address of the public internet" in error["message"]
            status, error = await acted.act("playback_start", audio_url="file:///etc/passwd")
            assert (status, error["code"]) == (422, "body")

    async def test_a_queue_is_stopped_paused_and_heard(self) -> None:
        async with calling() as (acted, _):
            first = await acted.done("playback_start", playback_content=CONTENT, loop="infinity")
            second = await acted.done("playback_start", playback_content=CONTENT, loop=100)
            over = await acted.done("playback_start", playback_content=CONTENT, loop=50, overlay=True)
            first, second, over = (data["playback_id"] for data in (first, second, over))
            assert (await acted.done("playback_volume", volume_db=-20))["playback_ids"] == [first, second, over]
            assert (await acted.done("playback_volume", volume_db=3, playback_id=over))["playback_ids"] == [over]
            assert (await acted.done("playback_pause"))["playback_ids"] == [first, over]
            assert (await acted.done("playback_resume"))["playback_ids"] == [first, over]
            assert (await acted.done("playback_resume"))["playback_ids"] == []
            assert (await acted.done("playback_stop", overlay=True))["playback_ids"] == [over]
            assert (await acted.done("playback_stop", stop="current"))["playback_ids"] == [first]
            await acted.event("playback_started", playback_id=second)
            status, error = await acted.act("playback_pause", playback_id=first)
            assert (status, error["code"]) == (404, "no_such_playback")
            third = await acted.done("playback_start", playback_content=CONTENT, loop=100, stop="all")
            await acted.event("playback_ended", playback_id=second, status="cancelled")
            [heard] = (await acted.done("clear"))["heard"]
            assert heard["playback_id"] == third["playback_id"]
            assert (await acted.done("playback_stop"))["playback_ids"] == []

    async def test_what_is_refused_leaves_all_as_it_was(self) -> None:
        async with calling() as (acted, _):
            first = await acted.done("playback_start", playback_content=CONTENT, loop=100, client_state="Zmlyc3Q=")
            unusable = base64.b64encode(b"no audio").decode()
            body = {"playback_content": unusable, "stop": "all", "client_state": "c2Vjb25k"}
            assert (await acted.act("playback_start", **body))[1]["code"] == "cannot_play"
            stopped = (await acted.done("playback_stop"))["playback_ids"]
            assert stopped == [first["playback_id"]], "it went on"
            ended = await acted.event("playback_ended", playback_id=first["playback_id"])
            assert ended["client_state"] == "Zmlyc3Q="

    async def test_keys(self) -> None:
        async with calling() as (acted, _):
            data = await acted.done("send_dtmf", digits="1w2", duration_millis=100)
            await acted.event("playback_ended", playback_id=data["playback_id"], kind="keys", status="completed")

    async def test_a_text(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(talking, "load_voices", lambda engine: Voices())
        async with calling() as (acted, carrier):
            data = await acted.done("speak", payload="hello", voice="v", language="de-DE", engine="e")
            await acted.event("playback_ended", playback_id=data["playback_id"], kind="speak", status="completed")
            assert Voices.spoken == [("hello", "de-DE", "v")]
            assert loudness(carrier) > 5000

    async def test_no_engine(self) -> None:
        async with calling() as (acted, _):
            assert (await acted.act("speak", payload="hello", engine="nobody"))[1]["code"] == "configuration"

    async def test_plays_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doing, "MAX_PLAYS", 1)
        async with calling() as (acted, _):
            status, error = await acted.act("playback_start", playback_content=CONTENT, overlay=True)
            assert (status, error["code"]) == (409, "nothing_plays")
            await acted.done("playback_start", playback_content=CONTENT, loop="infinity")
            status, error = await acted.act("send_dtmf", digits="1")
            assert (status, error["code"]) == (409, "too_many_plays")

    async def test_audio_of_bodies_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("media.control.controls.MAX_HELD_BYTES", int(1.5 * len(wav(800))))
        async with calling() as (acted, _):
            play = await acted.done("playback_start", playback_content=CONTENT, loop="infinity")
            status, error = await acted.act("playback_start", playback_content=CONTENT)
            assert (status, error["code"]) == (503, "too_much_audio")
            await acted.done("playback_stop", playback_id=play["playback_id"])
            await acted.done("playback_start", playback_content=CONTENT)


class TestAsking:
    async def test_digits(self) -> None:
        async with calling() as (acted, carrier):
            data = await acted.done("gather", maximum_digits=2, gather_id="pin", timeout_millis=3_000_000)
            assert data["gather_id"] == "pin"
            status, error = await acted.act("gather")
            assert (status, error["code"]) == (409, "not_now")
            for digit in "47":
                await carrier.say("dtmf", sequence_number="9", dtmf={"digit": digit})
            ended = await acted.event("gather_ended", gather_id="pin")
            assert (ended["digits"], ended["status"]) == ("47", "valid")

    async def test_stopped(self) -> None:
        async with calling() as (acted, _):
            assert await acted.done("gather_stop") == {"result": "ok"}
            data = await acted.done("gather", initial_timeout_millis=3_000_000, timeout_millis=3_000_000)
            await acted.done("gather_stop")
            assert (await acted.event("gather_ended", gather_id=data["gather_id"]))["status"] == "cancelled"

    async def test_behind_audio(self, tmp_path: Path) -> None:
        (tmp_path / "menu.wav").write_bytes(wav(800))
        async with calling(media=tmp_path) as (acted, carrier):
            data = await acted.done("gather_using_audio", media_name="menu.wav", maximum_digits=1)
            await acted.event("playback_started")
            await carrier.say("dtmf", sequence_number="9", dtmf={"digit": "5"})
            assert (await acted.event("gather_ended", gather_id=data["gather_id"]))["digits"] == "5"

    async def test_behind_what_cannot_be_played(self, tmp_path: Path) -> None:
        (tmp_path / "menu.wav").write_text("no audio")
        async with calling(media=tmp_path) as (acted, _):
            data = await acted.done("gather_using_audio", media_name="menu.wav")
            ended = await acted.event("gather_ended", gather_id=data["gather_id"])
            assert ended["status"] == "cancelled"
            assert "the prompt cannot be played" in ended["reason"]

    async def test_behind_a_text(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(talking, "load_voices", lambda engine: Voices())
        async with calling() as (acted, carrier):
            data = await acted.done("gather_using_speak", payload="a digit, please", maximum_digits=1)
            await acted.event("playback_started")
            await carrier.say("dtmf", sequence_number="9", dtmf={"digit": "6"})
            assert (await acted.event("gather_ended", gather_id=data["gather_id"]))["digits"] == "6"


async def test_hanging_up() -> None:
    async with calling() as (acted, _):
        await acted.done("hangup")
        assert (await acted.event("call_ended"))["reason"] == "hang_up"
        status, error = await acted.act("hangup")
        assert (status, error["code"]) == (404, "no_such_call")


async def test_a_call_that_goes_one_way(tmp_path: Path) -> None:
    async with acting(record=tmp_path) as acted:
        host, _, port = acted.server.addresses["udp"].rpartition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
            for number in range(5):
                caller.sendto(packed(audio(number)), (host, int(port)))
            call_id = (await acted.event("call_started"))["call_id"]
        for name, action in ACTIONS.items():
            if action.speaks:
                body: dict[str, Any] = {"payload": "x"} if "payload" in action.command.__struct_fields__ else {}
                body |= {"digits": "1"} if name == "send_dtmf" else {"volume_db": 1} if "volume" in name else {}
                body |= {"audio_url": "http://example.com/"} if action.one_of else {}
                status, error = await acted.act(name, call_id, **body)
                assert (status, error["code"]) == (409, "cannot_play"), name
                assert "goes one way" in error["message"]
        status, error = await acted.act("hangup", call_id)
        assert (status, error["code"]) == (409, "not_now")
        await acted.done("record_start", call_id)
        await acted.done("gather", call_id)


async def test_beside_an_application() -> None:
    async def app(call: LiveCall) -> None:
        await call.ended()

    async with calling(app) as (acted, _):
        data = await acted.done("playback_start", playback_content=CONTENT)
        await acted.event("playback_ended", playback_id=data["playback_id"], status="completed")


async def test_a_call_that_comes_back_by_another_socket() -> None:
    async with calling() as (acted, _), stream(acted.server) as second:
        await second.talk(TONE[:160])
        await acted.event("reconnected")
        data = await acted.done("playback_start", playback_content=CONTENT)
        await acted.event("playback_ended", playback_id=data["playback_id"], status="completed")
        assert loudness(second) > 7000


class Voices:
    """Speaks a tone."""

    spoken: ClassVar[list[tuple[str, str, str | None]]] = []
    rate_hz = 8000

    async def speak(self, text: str, language: str, voice: str | None) -> Voices:
        self.spoken[:] = [(text, language, voice)]
        self._rest: list[bytes] = [SPOKEN.tobytes()]
        return self

    def __aiter__(self) -> Voices:
        return self

    async def __anext__(self) -> bytes:
        if not self._rest:
            raise StopAsyncIteration
        return self._rest.pop()

    async def aclose(self) -> None:
        self._rest.clear()
