"""What applications ask of a call, turn by turn of the event loop: the clock stands still unless a test moves it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from media.talk.call import LiveCall
from media.talk.contract import PlaybackError
from media.talk.gathering import Gathered
from strep.errors import UsageError
from tests.hearing.audio import silence, tones
from tests.talk.line import TONE_WAV, Line, gathers
from tests.talk.switchboard import TONE, turns


class TestGather:
    async def test_digits_of_the_carrier(self) -> None:
        line = Line(gathers(minimum_digits=2))
        await line.press("4", "2", "#")
        assert line.result == Gathered("42", "valid", "ended by #", "#", 1)
        [told] = line.events("gather_ended")
        assert {"digits": "42", "status": "valid", "reason": "ended by #", "tries": 1}.items() <= told.items()
        await line.close()

    async def test_tones_are_listened_for_meanwhile_and_a_key_counts_once(self) -> None:
        """5 as tones, then told by the carrier; 7 by the carrier, then as tones; 9 as tones only."""
        line = Line(gathers(maximum_digits=3))
        await turns()
        await line.say(np.concatenate([silence(0.5), tones(0.1, 770, 1336), silence(0.1)]))
        await line.press("5", "7")
        await line.say(np.concatenate([tones(0.1, 852, 1209), silence(0.1), tones(0.1, 852, 1477), silence(0.1)]))
        assert line.result.digits == "579"
        assert [event["source"] for event in line.events("dtmf")] == ["inband", "ws", "inband"]
        await line.say(np.concatenate([tones(0.1, 770, 1336), silence(0.1)]))
        assert len(line.events("dtmf")) == 3, "nobody asks any more"
        await line.close()

    async def test_where_they_are_listened_for_anyway_nothing_is_asked(self) -> None:
        line = Line(gathers(maximum_digits=1), "dtmf")
        await turns()
        await line.say(np.concatenate([silence(0.5), tones(0.1, 770, 1336), silence(0.1)]))
        assert line.result.digits == "5"
        assert len(line.events("dtmf")) == 1
        await line.close()

    async def test_the_other_sides_keys_are_not_the_callers(self) -> None:
        line = Line(gathers(maximum_digits=1))
        await line.press("1", track="outbound")
        await line.press("2", track="inbound")
        assert line.result.digits == "2"
        await line.close()

    async def test_timeouts_are_by_the_servers_clock(self) -> None:
        line = Line(gathers(initial_timeout_ms=1000, inter_digit_timeout_ms=500, maximum_tries=2))
        await line.wait(1980)
        await line.press("1")
        await line.wait(480)
        assert not line.events("gather_ended")
        await line.wait(20)
        assert line.result == Gathered("1", "valid", "no other digit within 500 ms", "", 2)
        await line.close()

    async def test_a_key_cuts_the_prompt_off_and_all_that_waits_before_it(self) -> None:
        async def act(call: LiveCall) -> Any:
            welcome = await call.play(TONE, rate_hz=8000)
            gathered = await call.gather(prompt=TONE_WAV, maximum_digits=1)
            return welcome, gathered

        line = Line(act)
        await line.until(lambda: line.player.queue.voices[1:] != [])
        await line.wait(300)
        assert "clear" not in line.frames.sent
        await line.press("3")
        welcome, gathered = line.result
        assert (gathered.digits, gathered.tries) == ("3", 1)
        assert welcome.state.value == "cut off"
        assert 0.2 < welcome.position_seconds < 0.4
        assert "clear" in line.frames.sent
        await line.close()

    @pytest.mark.parametrize("what", ["key", "stop", "hang-up"])
    async def test_a_prompt_that_is_not_ready_holds_nothing_up(self, what: str) -> None:
        """It is a URL that takes its time; a welcome sounds meanwhile."""

        async def act(call: LiveCall) -> Any:
            plays.append(await call.play(TONE, rate_hz=8000))

            async def play(source: str, **_: Any) -> Any:
                opening.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    given_up.append(source)

            call.play = play  # type: ignore[method-assign]
            return await call.gather(prompt="https://slow.example/menu.mp3", maximum_digits=1)

        plays, given_up, opening = list[Any](), list[str](), asyncio.Event()
        line = Line(act)
        await opening.wait()
        await line.wait(300)
        match what:
            case "key":
                await line.press("3")
            case "stop":
                line.call.stop_gather()
            case _:
                await line.hang_up()
        await turns()
        assert line.result.status == {"key": "valid", "stop": "cancelled", "hang-up": "call_hangup"}[what]
        assert given_up == ["https://slow.example/menu.mp3"]
        assert plays[0].state.value == "cut off"
        assert ("clear" in line.frames.sent) is (what != "hang-up")
        await line.close()

    async def test_silence_has_the_prompt_repeated_and_rubbish_what_is_for_it(self) -> None:
        played: list[str] = []

        async def act(call: LiveCall) -> Any:
            async def play(source: str, **_: Any) -> Any:
                played.append(source)
                return await LiveCall.play(call, TONE[:800], rate_hz=8000)

            call.play = play  # type: ignore[method-assign]
            return await call.gather(prompt="menu", invalid_prompt="what?", valid_digits="12", maximum_digits=1)

        line = Line(act)
        await line.wait(6000)
        assert played == ["menu", "menu"], "five seconds behind the end of the first"
        await line.press("9")
        await turns()
        assert played == ["menu", "menu", "what?", "menu"]
        await line.press("8")
        assert line.result == Gathered("8", "invalid", "1 digit, which is the most; 1 of 1 digit not valid", "", 3)
        assert line.board._playouts[0].player.is_unheard is False
        await line.close()

    async def test_the_prompt_takes_its_time(self) -> None:
        async def act(call: LiveCall) -> Any:
            async def play(source: str, **_: Any) -> Any:  # an array is there at once, no thread has to read it
                return await LiveCall.play(call, TONE, rate_hz=8000)

            call.play = play  # type: ignore[method-assign]
            return await call.gather(prompt="menu", initial_timeout_ms=1000, maximum_tries=1)

        line = Line(act)
        await line.wait(1900)
        assert not line.events("gather_ended"), "a second of prompt, then one to wait"
        await line.wait(500)
        assert line.result.status == "timeout"
        await line.close()

    async def test_a_prompt_that_cannot_be_played_is_an_error_and_nothing_goes_on(self) -> None:
        async def act(call: LiveCall) -> Any:
            with pytest.raises(PlaybackError):
                await call.gather(prompt=b"this is no audio")

            async def pieces() -> AsyncIterator[bytes]:
                yield TONE.tobytes()

            with pytest.raises(PlaybackError, match="only once: maximum_tries=1"):
                await call.gather(prompt=pieces())
            with pytest.raises(ValueError, match="give prompt or speak as well"):
                await call.gather(invalid_speak="Once more")
            with pytest.raises(ValueError, match="maximum_digits=0"):
                await call.gather(maximum_digits=0)
            with pytest.raises(ValueError, match="track='left'"):
                await call.gather(track="left")
            return await call.gather(prompt=TONE, prompt_rate_hz=8000, maximum_digits=1)

        line = Line(act)
        await line.until(lambda: line.events("gather_ended") != [])
        await line.press("1")
        assert line.result.digits == "1"
        assert [event["status"] for event in line.events("gather_ended")] == ["cancelled", "valid"]
        await line.close()

    async def test_stop_and_a_second_one_and_giving_up(self) -> None:
        async def act(call: LiveCall) -> Any:
            first = asyncio.create_task(call.gather())
            await asyncio.sleep(0)
            with pytest.raises(UsageError, match="stop_gather"):
                await call.gather()
            call.stop_gather()
            stopped = await first
            call.stop_gather()
            given_up = asyncio.create_task(call.gather())
            await asyncio.sleep(0)
            given_up.cancel()
            await asyncio.wait([given_up])
            return stopped, await call.gather(maximum_digits=1)

        line = Line(act)
        await turns(20)
        await line.press("1")
        stopped, last = line.result
        assert (stopped.status, stopped.reason) == ("cancelled", "stopped by the application")
        assert last.digits == "1"
        assert [event["status"] for event in line.events("gather_ended")] == ["cancelled", "cancelled", "valid"]
        await line.close()

    async def test_a_caller_who_hangs_up(self) -> None:
        async def act(call: LiveCall) -> Any:
            return await call.gather(), await call.gather()

        line = Line(act)
        await line.press("1", "2")
        await line.hang_up()
        assert line.result[0] == Gathered("12", "call_hangup", "the call ended: stop", "", 1)
        assert line.result[1].status == "call_hangup"
        await line.close()

    @pytest.mark.parametrize(("typed_ahead", "expected"), [(True, ["12", "34", "5"]), (False, ["67", "89", ""])])
    async def test_keys_that_come_before_their_question(self, typed_ahead: bool, expected: list[str]) -> None:
        async def act(call: LiveCall) -> Any:
            await ask.wait()
            for _ in range(3):
                results.append((await call.gather(maximum_digits=2, typed_ahead=typed_ahead)).digits)

        ask, results = asyncio.Event(), list[str]()
        line = Line(act)
        await line.press("1", "2", "3", "4", "5")
        ask.set()
        await turns()
        if not typed_ahead:
            await line.press("6", "7", "8", "9")
        await line.hang_up()
        assert results == expected
        await line.close()
