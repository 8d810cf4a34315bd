"""Actions in calls of workers: asked for at their supervisor's door, done by the worker that has the call."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import connect

from media.control.answers import Playing
from media.control.commands import PlaybackStart
from media.control.contract import ActionError
from media.workers.acting import PART_CHARACTERS, Acting, parts_of, result_of
from media.workers.control import Answer, decode_order, encode
from tests.control.acting import Asking, wav
from tests.control.called import loudness
from tests.media.serving import serving
from tests.patience import PATIENCE_S
from tests.talk.live_calls import TONE, Carrier

CONTENT = base64.b64encode(wav(100_000)).decode()


class Board:
    """Keeps what it is told to do."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.done: list[tuple[str, str, Any]] = []
        self._answer = answer

    async def act(self, *given: Any) -> Any:
        self.done.append(given)
        return self._answer()


def refuse() -> Any:
    raise ActionError(409, "cannot_play", "it goes one way")


class TestParts:
    def test_are_small_and_make_the_whole(self) -> None:
        command = msgspec.json.decode(json.dumps({"playback_content": CONTENT}), type=PlaybackStart)
        parts = [decode_order(encode(part)) for part in parts_of(7, "s1", "playback_start", command)]
        assert len(parts) > 1
        assert [part.is_last for part in parts] == [False] * (len(parts) - 1) + [True]  # type: ignore[union-attr]
        bodies = [part.body for part in parts]  # type: ignore[union-attr]
        assert max(map(len, bodies)) <= PART_CHARACTERS
        assert msgspec.json.decode("".join(bodies), type=PlaybackStart) == command

    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            (lambda: Playing(playback_id="p"), Playing(playback_id="p")),
            (refuse, (409, "cannot_play")),
            (lambda: 1 / 0, (500, "internal")),
        ],
    )
    async def test_are_done_once_they_are_there(self, answer: Callable[[], Any], expected: Any) -> None:
        said = asyncio.Queue[Answer]()
        board = Board(answer)
        acting = Acting(board, said.put_nowait)  # type: ignore[arg-type]
        command = PlaybackStart(playback_content=bytes(100_000))
        for part in parts_of(7, "s1", "playback_start", command):
            assert not board.done
            acting.take(part)
        answered = await said.get()
        assert board.done == [("s1", "playback_start", command)]
        assert answered.number == 7
        heard = msgspec.json.decode(encode(answered))["said"]
        if isinstance(expected, Playing):
            assert result_of(heard, "playback_start") == expected
        else:
            with pytest.raises(ActionError) as caught:
                result_of(heard, "playback_start")
            assert (caught.value.status, caught.value.code) == expected


@pytest.mark.realtime
async def test_by_the_worker_that_has_the_call() -> None:
    options = ("--ws", "127.0.0.1:0", "--http", "127.0.0.1:0", "--workers", "2")
    async with asyncio.timeout(PATIENCE_S):
        with serving(*options) as (_, addresses):
            asking = Asking(addresses["http"])
            assert (await asking.act("clear"))[0] == 404
            events = f"ws://{addresses['http']}/v1/events?events=playback_started"
            async with (
                connect(events) as reader,
                connect(f"ws://{addresses['ws']}/?playback=rtp") as socket,
            ):
                carrier = Carrier(socket, "s1")
                listening = asyncio.create_task(carrier.listen())
                await carrier.start()
                await carrier.talk(TONE[:160])
                for _ in itertools.count():  # until the worker has it
                    status, shown = await asking.ask("/v1/calls/s1")
                    if status == 200:
                        break
                assert shown["plays"] == []
                status, data = await asking.act("playback_start", playback_content=CONTENT, command_id="c")
                assert (status, data["result"]) == (200, "ok")
                assert await asking.act("playback_start", playback_content=CONTENT, command_id="c") == (200, data)
                await carrier.until(lambda: loudness(carrier) > 7000)
                assert json.loads(await reader.recv())["playback_id"] == data["playback_id"]
                status, shown = await asking.ask("/v1/calls/s1")
                assert [play["playback_id"] for play in shown["plays"]] == [data["playback_id"]]
                status, error = await asking.act("playback_pause", playback_id="none")
                assert (status, error["code"]) == (404, "no_such_playback")
                assert (await asking.act("hangup"))[0] == 200
                await listening
