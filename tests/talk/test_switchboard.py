"""Calls and their applications, without a server: the switchboard is told what the engine and the door would tell."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from media.events.kinds import DigitPressed
from media.talk import switchboard
from media.talk.call import LiveCall
from media.talk.contract import PlaybackError
from media.talk.handle import Playback, PlayState
from media.talk.rtp_mode import RtpPlayout
from strep.clock import NS_PER_SECOND
from tests.patience import PATIENCE_S
from tests.talk.switchboard import TONE, App, World, turns


@pytest.mark.parametrize(("is_over", "failures"), [(True, 0), (False, 1)])
async def test_a_play_that_comes_too_late_for_its_call_is_no_failure_of_the_application(
    caplog: pytest.LogCaptureFixture, is_over: bool, failures: int
) -> None:
    async def act(call: LiveCall) -> None:
        await may_play.wait()
        await call.play(object())

    may_play = asyncio.Event()
    world = World(App(act))
    info = world.begin()
    if is_over:
        world.end(info)
    may_play.set()
    await turns()
    assert world.board.app_failures == failures
    assert ("its application gave up" in caplog.text) is not is_over
    await world.board.close()


@pytest.mark.parametrize("loop", [0, 2])
async def test_what_cannot_be_repeated_is_refused_at_once(loop: int) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield TONE.tobytes()

    async def act(call: LiveCall) -> None:
        with pytest.raises(PlaybackError, match="played only once: loop=1"):
            await call.play(pieces(), rate_hz=8000, loop=loop)

    app = App(act)
    world = World(app)
    world.begin()
    await turns()
    assert app.results == {"c": None}
    await world.board.close()


class TestFaultsOfOurOwn:
    async def test_a_call_that_cannot_be_sent_to_fails_its_plays_and_no_others(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def act(call: LiveCall) -> Any:
            plays = [await call.play(TONE, rate_hz=8000), await call.play(TONE, rate_hz=8000)]
            plays.append(await call.play(TONE, rate_hz=8000, overlay=True))
            marked = asyncio.create_task(call.mark("behind"))
            return [await play.wait() for play in plays], await marked, call.can_play

        app = App(act)
        world = World(app)
        bad, good = world.begin("bad", 0), world.begin("good", 1)
        await turns()
        send_due = RtpPlayout._send_due

        def fails(self: RtpPlayout, wire: Any, now_ns: int) -> None:
            if self is world.board._playouts[0]:
                raise KeyError("a bug of ours")
            send_due(self, wire, now_ns)

        monkeypatch.setattr(RtpPlayout, "_send_due", fails)
        before = world.board.snapshot()["messages"]
        world.clock.advance(NS_PER_SECOND // 5)
        world.board._timer.tick()
        await turns()
        plays, was_played, can_play = app.results["bad"]
        assert [play.state for play in plays] == [PlayState.FAILED] * 3
        assert "sending to this call failed: KeyError('a bug of ours')" in str(plays[0].error)
        assert (was_played, can_play) == (False, False)
        assert "call bad cannot be played to any more" in caplog.text
        assert world.board.snapshot()["messages"] > before, "the other one is played to"
        for info in (bad, good):
            world.end(info)
        await turns()
        assert [play.state for play in app.results["good"][0]] == [PlayState.CUT_OFF] * 3
        await world.board.close()

    async def test_an_end_that_fails_is_nobody_elses(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def act(call: LiveCall) -> Playback:
            return await (await call.play(TONE, rate_hz=8000)).wait()

        world = World(App(act))
        info = world.begin()
        await turns()

        def fails(self: RtpPlayout, now_ns: int) -> None:
            raise KeyError("a bug of ours")

        monkeypatch.setattr(RtpPlayout, "close", fails)
        world.end(info)
        assert "a call could not begin, or end, for applications" in caplog.text
        assert world.board.snapshot()["calls"] == 0
        monkeypatch.setattr(switchboard, "STOP_TIMEOUT_S", 0)
        await world.board.close()


async def test_a_socket_of_a_call_that_is_over_does_nothing_to_the_one_that_has_its_index() -> None:
    async def act(call: LiveCall) -> Any:
        return [event["digit"] async for event in call.events()]

    app = App(act)
    world = World(app)
    world.end(before := world.begin("before"))
    after, wire = world.begin("after"), world.wire
    world.bus.publish(before, DigitPressed(digit="1", source="ws"))
    world.board.stream_detached(before)
    assert world.board._playouts[0].wire is wire
    world.bus.publish(after, DigitPressed(digit="2", source="ws"))
    await turns()
    world.end(after)
    await turns()
    assert app.results == {"before": [], "after": ["2"]}


class TestTheEndOfTheServer:
    async def test_applications_that_are_cancelled_have_the_time_to_tidy_up(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def act(call: LiveCall) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await turns(50)
                tidied.append(call.call_id)

        tidied: list[str] = []
        world = World(App(act))
        info = world.begin()
        await turns()
        world.end(info)
        monkeypatch.setattr(switchboard, "STOP_TIMEOUT_S", 0)
        await world.board.close()
        assert tidied == ["c"]

    @pytest.mark.parametrize("grace_s", [0.0, 30.0])
    async def test_one_that_ignores_it_is_left_behind(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, grace_s: float
    ) -> None:
        """Whether it is cancelled because its call is over, or because the server ends."""

        async def act(call: LiveCall) -> None:
            while not may_go.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await may_go.wait()

        may_go = asyncio.Event()
        app = App(act)
        world = World(app)
        for name, limit_s in (("APP_GRACE_S", grace_s), ("STOP_TIMEOUT_S", 0), ("CANCEL_TIMEOUT_S", 0)):
            monkeypatch.setattr(switchboard, name, limit_s)
        info = world.begin()
        await turns()
        world.end(info)
        await turns()
        async with asyncio.timeout(PATIENCE_S):
            await world.board.close()
        assert "call c: its application ignores that it is cancelled, and is left behind" in caplog.text
        assert not app.results
        may_go.set()
        await turns()
        assert "c" in app.results
