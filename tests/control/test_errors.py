"""Actions that are not done: why, in one form; and commands that are given twice."""

from __future__ import annotations

import asyncio
import base64
import gc
import re
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from media.control import commands, memory
from media.control.answers import Done
from media.control.contract import ActionError
from media.control.controls import DO, Controls
from media.control.media_files import media_path
from media.control.table import ACTIONS, MAX_AUDIO_BODY_BYTES, MAX_BODY_BYTES
from media.http import api, house
from media.http.actions import command_of
from media.sinks.takes.options import MAX_LENGTH_S
from media.voices.contract import MAX_CHARACTERS
from tests.control.acting import acting, wav
from tests.control.called import CONTENT, calling

HANGUP = "/v1/calls/s1/actions/hangup"


class TestRefusals:
    @pytest.mark.realtime
    @pytest.mark.parametrize(
        ("path", "body", "media_type", "status", "code", "says"),
        [
            (HANGUP, b"{}", "application/json", 404, "no_such_call", "'s1'"),
            ("/v1/calls/s1/actions/dance", b"{}", "application/json", 404, "no_such_action", "there are playback_"),
            (HANGUP, b"{}", "text/plain", 415, "media_type", "application/json"),
            (HANGUP, b"{", "application/json", 400, "json", "the body is no JSON"),
            (HANGUP, b"\xff", "application/json", 400, "json", "the body is no JSON"),
            (HANGUP, b"[]", "application/json", 422, "body", "Expected `object`"),
            (HANGUP, b'{"volume": 1}', "application/json", 422, "body", "`volume`"),
            (HANGUP, b'{"client_state": "?"}', "application/json", 422, "body", "$.client_state"),
            (HANGUP, b" " * (MAX_BODY_BYTES + 1), "application/json", 413, "too_large", str(MAX_BODY_BYTES)),
            ("/v1/calls/s1/actions/speak", b"{}", "application/json", 422, "body", "`payload`"),
            (
                "/v1/calls/s1/actions/record_start",
                b'{"format": "ogg"}',
                "application/json",
                422,
                "body",
                "Invalid enum value 'ogg' - at `$.format`; it is one of wav, mp3, flac, opus",
            ),
            (
                "/v1/calls/s1/actions/speak",
                b'{"payload": "a", "stop": "b"}',
                "application/json",
                422,
                "body",
                "current, all",
            ),
            (
                "/v1/calls/s1/actions/record_start",
                b'{"custom_file_name": "12"}',
                "application/json",
                422,
                "body",
                "custom_file_name has a letter",
            ),
            ("/v1/calls/s1/actions/playback_start", b"{}", "application/json", 422, "body", "just one of audio_url"),
            (
                "/v1/calls/s1/actions/gather",
                b'{"minimum_digits": 3, "maximum_digits": 2}',
                "application/json",
                422,
                "body",
                "minimum_digits=3 is more",
            ),
        ],
    )
    async def test_form(self, path: str, body: bytes, media_type: str, status: int, code: str, says: str) -> None:
        async with acting() as acted:
            got, document = await acted.ask(path, body, media_type)
        assert (got, document["error"]["code"]) == (status, code)
        assert says in document["error"]["message"]
        assert set(document) == {"error"}

    @pytest.mark.realtime
    async def test_no_body_is_an_empty_one(self) -> None:
        async with calling() as (acted, _):
            assert (await acted.ask("/v1/calls/s1/actions/gather_stop", b""))[0] == 200

    @pytest.mark.realtime
    async def test_turned_off(self) -> None:
        async with acting(actions="off") as acted:
            status, error = await acted.act("hangup")
            assert (status, error["code"]) == (501, "no_actions")
            assert "talk" not in acted.server.snapshot()

    @pytest.mark.realtime
    async def test_too_slow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(house, "ACT_TIMEOUT_S", 0.0)
        async with calling() as (acted, _):
            status, error = await acted.act("clear")
            assert (status, error["code"]) == (503, "busy")

    @pytest.mark.realtime
    async def test_large_bodies_are_few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(api, "MAX_LARGE_BODIES", 0)
        async with acting() as acted:
            large = base64.b64encode(bytes(MAX_BODY_BYTES)).decode()
            status, error = await acted.act("playback_start", playback_content=large)
            assert (status, error["code"]) == (503, "busy")

    def test_bounds_of_bodies(self) -> None:
        for name, action in ACTIONS.items():
            bound = MAX_AUDIO_BODY_BYTES if name == "playback_start" else MAX_BODY_BYTES
            assert action.most_bytes == bound

    def test_every_choice_is_told(self) -> None:
        """Of every field of every action that is one of a few values, as the interface's description has them."""
        told = set[str]()
        for action in ACTIONS.values():
            _, schemas = msgspec.json.schema_components([action.command])
            for field, schema in schemas[action.command.__name__]["properties"].items():
                kinds = [kind for kind in schema.get("anyOf", [schema]) if "enum" in kind]
                if kinds:
                    with pytest.raises(api.ApiError) as caught:
                        command_of(msgspec.json.encode({field: "nonsense"}), action)
                    said = re.split("; it is (?:one of|a number or) ", str(caught.value))[1].split(", ")
                    assert sorted(said) == sorted(kinds[0]["enum"]), field
                    told.add(field)
        assert {"format", "channels", "trim", "mode", "stop", "direction", "loop"} <= told

    def test_bounds_are_those_of_who_obeys(self) -> None:
        from media.control import keeping

        assert commands.MAX_CHARACTERS == MAX_CHARACTERS
        assert keeping.MAX_RECORDING_S == MAX_LENGTH_S


@pytest.mark.realtime
class TestTwice:
    async def test_it_is_done_once(self) -> None:
        async with calling() as (acted, _):
            bodies = {"playback_content": CONTENT, "loop": "infinity", "command_id": "c1"}
            first = await acted.done("playback_start", **bodies)
            assert await acted.done("playback_start", **bodies) == first
            status, error = await acted.act("clear", command_id="c1")
            assert (status, error["code"]) == (409, "command_id")
            bodies["command_id"] = "c2"
            answers = await asyncio.gather(*(acted.done("playback_start", **bodies) for _ in range(5)))
            assert answers == [answers[0]] * 5
            assert len((await acted.done("clear"))["heard"]) == 2

    async def test_what_was_refused_is_refused_again(self) -> None:
        async with calling() as (acted, _):
            refused = await acted.act("playback_start", playback_content=CONTENT, overlay=True, command_id="c1")
            await acted.done("playback_start", playback_content=CONTENT, loop="infinity")
            again = await acted.act("playback_start", playback_content=CONTENT, overlay=True, command_id="c1")
            assert again == refused
            await acted.done("playback_start", playback_content=CONTENT, overlay=True, command_id="c2")

    async def test_what_was_our_trouble_is_tried_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with calling() as (acted, _):
            monkeypatch.setattr("media.control.controls.MAX_HELD_BYTES", len(wav(800)) - 1)
            assert (await acted.act("playback_start", playback_content=CONTENT, command_id="c1"))[0] == 503
            monkeypatch.undo()
            await acted.done("playback_start", playback_content=CONTENT, command_id="c1")


class TestMemory:
    async def test_is_bounded(self) -> None:
        known, done, task = memory.Memory(most=10), Done(), asyncio.get_running_loop().create_future()
        for number in range(20):
            known.keep(str(number), "clear", task)
            known.keep("", "clear", task)
            known.settle(str(number), task, done)
        assert len(known) == 10
        assert known.find("9", "clear") is None
        assert known.find("10", "clear") is done
        assert known.find("", "clear") is None

    async def test_what_may_be_tried_again_is_forgotten(self) -> None:
        known, loop = memory.Memory(), asyncio.get_running_loop()
        task = loop.create_future()
        known.keep("1", "clear", task)
        known.settle("1", loop.create_future(), None)
        assert known.find("1", "clear") is task
        known.settle("1", task, None)
        assert known.find("1", "clear") is None

    async def test_what_is_being_done_is_not_forgotten(self) -> None:
        known, tasks = memory.Memory(most=2), [asyncio.get_running_loop().create_future() for _ in range(4)]
        for number, task in enumerate(tasks):
            known.keep(str(number), "clear", task)
            if number in (1, 2):
                known.settle(str(number), task, Done())
        assert known.find("0", "clear") is tasks[0]
        assert known.find("1", "clear") is None
        assert known.find("2", "clear") is None
        assert known.find("3", "clear") is tasks[3]

    async def test_a_refused_command_keeps_neither_its_audio_nor_the_call(self) -> None:
        class Live:
            can_play, why_not, plays = False, "it goes one way", ()
            info = SimpleNamespace(told=SimpleNamespace(client_state=None))

        class Watched(commands.PlaybackStart, weakref=True):
            pass

        board: Any = SimpleNamespace(live=Live(), live_call=lambda info: board.live)
        calls: Any = {"s1": SimpleNamespace(has_ended=False, info=Live.info)}
        controls = Controls(calls, board)
        is_there = weakref.ref(board.live)
        command = Watched(playback_content=b"audio", command_id="c1")
        audio = weakref.ref(command)
        gc.collect()
        gc.disable()
        try:
            for _ in range(2):
                with pytest.raises(ActionError, match="it goes one way"):
                    await controls.act("s1", "playback_start", command)
            del command
            await asyncio.sleep(0)
            assert audio() is None
            del board.live
            assert is_there() is None
        finally:
            gc.enable()


class TestClientState:
    async def test_what_another_command_set_stays(self, monkeypatch: pytest.MonkeyPatch) -> None:
        told = SimpleNamespace(client_state=None)

        class Live:
            can_play, plays, info = True, (), SimpleNamespace(told=told)

        live, begun, gate = Live(), asyncio.Event(), asyncio.Event()

        async def fail(doing: Any, command: commands.Command) -> Done:
            begun.set()
            await gate.wait()
            raise ActionError(409, "not_now", "it is not")

        async def do(doing: Any, command: commands.Command) -> Done:
            return Done()

        monkeypatch.setitem(DO, "clear", fail)
        monkeypatch.setitem(DO, "gather_stop", do)
        calls: Any = {"s1": SimpleNamespace(has_ended=False, info=live.info)}
        board: Any = SimpleNamespace(live_call=lambda info: live)
        controls = Controls(calls, board)
        first, second = (
            msgspec.json.decode(b'{"client_state": "c2FtZQ=="}', type=what)
            for what in (commands.Clear, commands.GatherStop)
        )
        failing = asyncio.ensure_future(controls.act("s1", "clear", first))
        await begun.wait()
        await controls.act("s1", "gather_stop", second)
        gate.set()
        with pytest.raises(ActionError, match="it is not"):
            await failing
        assert told.client_state == "c2FtZQ=="


class TestMediaFiles:
    """Nothing outside of the directory, by whatever name."""

    def test_those_inside(self, tmp_path: Path) -> None:
        (tmp_path / "a.wav").touch()
        (tmp_path / "b.wav").symlink_to("a.wav")
        assert media_path(tmp_path, "a.wav") == media_path(tmp_path, "b.wav") == (tmp_path / "a.wav").resolve()

    @pytest.mark.parametrize("name", ["../secret", "link", "up/secret", "sub", "", ".", "a\0b", "x" * 300, "loop"])
    def test_those_outside(self, tmp_path: Path, name: str) -> None:
        root = tmp_path / "media"
        (root / "sub").mkdir(parents=True)
        (tmp_path / "secret").touch()
        (root / "link").symlink_to(tmp_path / "secret")
        (root / "up").symlink_to(tmp_path)
        (root / "loop").symlink_to("loop")
        with pytest.raises(ActionError, match="there is no file"):
            media_path(root, name)

    def test_an_absolute_name(self, tmp_path: Path) -> None:
        (tmp_path / "secret").touch()
        (tmp_path / "media").mkdir()
        with pytest.raises(ActionError):
            media_path(tmp_path / "media", str(tmp_path / "secret"))

    def test_no_directory(self) -> None:
        with pytest.raises(ActionError, match="--media DIRECTORY"):
            media_path(None, "a.wav")
