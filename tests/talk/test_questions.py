"""What applications ask of a call, turn by turn of the event loop: the clock stands still unless a test moves it."""

from __future__ import annotations

import asyncio
import io
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import numpy as np
import pytest
import soundfile

from media.blocks import PcmBatch
from media.events.kinds import DigitPressed, Source
from media.sinks.hearing import HearingSink
from media.talk.call import LiveCall
from media.talk.contract import PlaybackError
from media.talk.detections import Answered
from media.talk.gathering import Gathered
from media.talk.player import Player
from strep.clock import NS_PER_MS
from strep.errors import UsageError
from tests.hearing.audio import row_batch, silence, tones
from tests.sinks.rows import call_report
from tests.talk.live_calls import Script, serving, stream
from tests.talk.test_switchboard import TONE, World, turns

FRAME = 160
MARK_STEPS = 10
"""Of 20 ms, until a mark is back."""


class Frames:
    """A wire that keeps what is sent: its names, and marks until they are due back."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.marks: deque[tuple[int, str]] = deque()
        self.steps = 0

    def send(self, message: str | bytes) -> None:
        frame = json.loads(message)
        self.sent.append(frame["event"])
        if frame["event"] == "mark":
            self.marks.append((self.steps + MARK_STEPS, frame["mark"]["name"]))


class Line(World):
    """One call of one application, which is heard as well; `say` is its caller."""

    def __init__(self, act: Callable[[LiveCall], Awaitable[Any]], *kinds: str, rate_hz: int = 8000) -> None:
        super().__init__(self._app)
        if kinds:
            self.board.hearing.kinds = frozenset(kinds)
            self.board.hearing.__init__(kinds, self.bus)  # type: ignore[misc]
        self.hearing: HearingSink = self.board.hearing
        self._act, self.position = act, 0
        self.result: Any = None
        self.told: list[dict[str, Any]] = []
        self.bus.subscribe(lambda told: self.told.append(told.to_json()))
        self.info, self.frames = self.begin(rate_hz=rate_hz), Frames()
        self.wire.send = self.frames.send  # type: ignore[method-assign]
        self.hearing.call_started(self.info)

    async def _app(self, call: LiveCall) -> None:
        self.call = call
        self.result = await self._act(call)

    async def wait(self, ms: int, step_ms: int = 20) -> None:
        """Let time go by, with the timers."""
        await turns()
        for _ in range(ms // step_ms):
            self.clock.advance(step_ms * NS_PER_MS)
            self.board._timer.tick()
            self.frames.steps += 1
            while self.frames.marks and self.frames.marks[0][0] <= self.frames.steps:
                self.board.stream_event(self.info, {"event": "mark", "name": self.frames.marks.popleft()[1]})
            await turns()

    @property
    def answered(self) -> Answered:
        assert isinstance(self.result, Answered)
        return self.result

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Give threads their time; the clock stands still."""
        while not is_so():  # noqa: ASYNC110 - threads of others
            await asyncio.sleep(0)

    async def press(self, *digits: str, source: Source = "ws", track: str = "") -> None:
        """Have the carrier tell of keys."""
        await turns()
        for digit in digits:
            self.bus.publish(self.info, DigitPressed(digit=digit, source=source, track=track))
            await turns()

    async def say(self, pcm: np.ndarray[Any, Any], channel: int = 0) -> None:
        for start in range(0, len(pcm) // FRAME * FRAME, FRAME):
            batch = row_batch([pcm[start : start + FRAME].astype(np.int16)], [0], [self.position], channel=channel)
            self.position += FRAME
            await self.wait(20)
            batch.now_ns = self.clock.now_ns()
            self.hearing.receive(batch)
        await turns()

    async def hang_up(self) -> None:
        self.end(self.info)
        self.hearing.call_ended(self.info, call_report(self.position))
        await turns()

    @property
    def player(self) -> Player:
        return self.board._playouts[0].player

    def events(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.told if event["event"] == name]

    async def close(self) -> None:
        if not self.call.has_ended:
            await self.hang_up()
        await self.board.close()
        self.hearing.receive(PcmBatch.tick(self.clock.now_ns()))
        assert not self.hearing._demands, "all that was asked for is dismissed"


def gathers(**options: Any) -> Callable[[LiveCall], Awaitable[Gathered]]:
    async def act(call: LiveCall) -> Gathered:
        return await call.gather(**options)

    return act


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


def wav(pcm: np.ndarray[Any, Any]) -> bytes:
    with io.BytesIO() as file:
        soundfile.write(file, pcm, 8000, format="WAV", subtype="PCM_16")
        return file.getvalue()


TONE_WAV = wav(TONE)
"""A second."""


def detects(kind: str, **rules: Any) -> Callable[[LiveCall], Awaitable[Any]]:
    async def act(call: LiveCall) -> Any:
        return await call.detect(kind, **rules)

    return act


def murmur(seconds: float, seed: int = 1) -> np.ndarray[Any, Any]:
    """Return something as lively as speech."""
    n = round(seconds * 8000)
    return np.random.default_rng(seed).normal(0, 1500, n) * (1 + 0.7 * np.sin(np.arange(n) / 8000 * 2 * np.pi * 5))


class TestDetect:
    @pytest.mark.parametrize(
        ("kind", "rules", "audio", "expected"),
        [
            ("digit", {}, tones(0.1, 770, 1336), {"event": "dtmf", "digit": "5"}),
            ("fax", {}, tones(0.5, 1100), {"event": "tone", "kind": "cng"}),
            ("fax", {"tone": "CED"}, tones(3, 2100), {"event": "tone", "kind": "ced"}),
            ("beep", {}, tones(0.3, 1400), {"event": "tone", "kind": "beep"}),
            ("speech", {}, murmur(1), {"event": "speech_started"}),
            ("digit", {"digits": "12"}, tones(0.1, 770, 1336), None),
            ("fax", {"tone": "CED"}, tones(0.5, 1100), None),
            ("beep", {"track": "outbound"}, tones(0.3, 1400), None),
        ],
    )
    async def test_what_is_waited_for(
        self, kind: str, rules: dict[str, Any], audio: np.ndarray[Any, Any], expected: dict[str, Any] | None
    ) -> None:
        line = Line(detects(kind, timeout_ms=5000, **rules))
        await turns()
        await line.say(np.concatenate([silence(0.5), audio, silence(1)]))
        if expected is None:
            await line.wait(5000)
            assert line.result is None
            assert line.board.snapshot()["applications"] == 0
        else:
            assert expected.items() <= line.result.items()
        await line.close()

    async def test_silence_is_counted_from_the_end_of_what_was_said(self) -> None:
        line = Line(detects("silence", silence_ms=2000))
        await turns()
        await line.say(np.concatenate([murmur(3), silence(1.8)]))
        assert not line.events("silence")
        await line.say(silence(0.4))
        assert line.result == {"event": "silence", "track": "inbound", "duration_ms": 2000}
        assert len(line.events("silence")) == 1
        await line.close()

    async def test_who_speaks_when_silence_is_asked_for_is_not_silent(self) -> None:
        async def act(call: LiveCall) -> Any:
            await ask.wait()
            return await call.detect("silence", silence_ms=300, timeout_ms=1000)

        ask = asyncio.Event()
        line = Line(act, "voice")
        await turns()
        await line.say(murmur(1))
        ask.set()
        await turns()
        await line.say(murmur(0.6, 2))
        assert line.result is None
        assert not line.events("silence")
        await line.close()

    async def test_who_spoke_when_somebody_listened_last_may_have_fallen_silent(self) -> None:
        async def act(call: LiveCall) -> Any:
            await call.detect("speech")
            await ask.wait()
            return await call.detect("silence", silence_ms=1000, timeout_ms=3000)

        ask = asyncio.Event()
        line = Line(act)
        await turns()
        await line.say(np.concatenate([silence(0.5), murmur(1), silence(1)]))
        ask.set()
        await line.say(silence(1.1))
        assert line.result == {"event": "silence", "track": "inbound", "duration_ms": 1000}
        await line.close()

    async def test_who_speaks_on_is_heard_anew_though_the_other_side_is_listened_to_all_the_time(self) -> None:
        async def act(call: LiveCall) -> Any:
            other = asyncio.create_task(call.detect("speech", track="outbound", timeout_ms=60_000))
            await call.detect("speech")
            silent = await call.detect("silence", silence_ms=700, timeout_ms=1500)
            other.cancel()
            return silent

        line = Line(act)
        await turns()
        await line.say(np.concatenate([silence(0.5), murmur(2.5)]))
        assert line.board.snapshot()["applications"] == 0
        assert line.result is None
        assert not line.events("silence")
        await line.close()

    @pytest.mark.parametrize("rate_hz", [44_100, 22_050, 11_025])
    async def test_what_cannot_be_heard_is_said_and_not_taken_for_silence(self, rate_hz: int) -> None:
        async def act(call: LiveCall) -> Any:
            for kind in ("fax", "beep", "speech", "silence"):
                with pytest.raises(UsageError, match=f"nothing is heard in this call: it has {rate_hz} Hz"):
                    await call.detect(kind)
            with pytest.raises(UsageError, match="8000, 16000, 24000 or 48000 can be"):
                await call.detect_machine()
            key = await call.detect("digit")
            assert key is not None, "the carrier told"
            return key["digit"], (await call.gather(maximum_digits=1)).digits

        line = Line(act, rate_hz=rate_hz)
        await line.press("4", "2")
        assert line.result == ("4", "2")
        await line.close()

    async def test_the_end_of_the_call_and_rules_that_are_none(self) -> None:
        async def act(call: LiveCall) -> Any:
            for kind, rules, why in (
                ("music", {}, "kind='music'"),
                ("machine", {}, "detect_machine"),
                ("fax", {"tone": "DTMF"}, "tone='DTMF'"),
                ("digit", {"digits": ""}, "digits=''"),
                ("silence", {"silence_ms": 0}, "silence_ms=0"),
                ("beep", {"track": "both"}, "track='both'"),
            ):
                with pytest.raises(ValueError, match=why):
                    await call.detect(kind, **rules)
            return [await call.detect("beep"), await call.detect("beep")]

        line = Line(act)
        await turns()
        await line.hang_up()
        assert line.result == [None, None]
        await line.close()


class TestDetectMachine:
    async def test_a_person(self) -> None:
        line = Line(lambda call: call.detect_machine())
        await turns()
        await line.say(np.concatenate([silence(0.5), murmur(0.6), silence(1.5)]))
        answered = line.answered
        assert (answered.result, answered.words, answered.greeting_end) == ("human", 1, "")
        assert answered.reason.startswith("silence for 800 ms after 1 word in 6")
        assert answered.greeting_ms == pytest.approx(600, abs=40)
        assert answered.silence_ms == pytest.approx(500, abs=40)
        assert answered.position_ms == pytest.approx(1900, abs=40)
        [told] = line.events("machine_detection_ended")
        assert (told["result"], told["position_ms"]) == ("human", answered.position_ms)
        await line.close()

    async def test_a_machine_until_its_beep(self) -> None:
        line = Line(lambda call: call.detect_machine())
        await turns()
        await line.say(np.concatenate([silence(0.5), murmur(4.5)]))
        assert line.result is None
        assert line.events("machine_detection_ended")[0]["reason"] == "a greeting of more than 3500 ms"
        await line.say(np.concatenate([silence(0.7), tones(0.4, 1000), silence(0.3)]))
        assert (line.answered.result, line.answered.greeting_end) == ("machine", "beep_detected")
        assert line.answered.greeting_end_ms == pytest.approx(6100, abs=40)
        assert [event["result"] for event in line.events("greeting_ended")] == ["beep_detected"]
        await line.close()

    async def test_a_machine_that_is_told_at_once(self) -> None:
        line = Line(lambda call: call.detect_machine(detect_message_end=False, greeting_duration_ms=1000))
        await turns()
        await line.say(np.concatenate([silence(0.5), murmur(1.5)]))
        assert (line.answered.result, line.answered.greeting_end) == ("machine", "")
        await line.close()

    async def test_a_call_without_any_audio(self) -> None:
        line = Line(lambda call: call.detect_machine(initial_silence_ms=1000))
        for _ in range(10):
            await line.wait(200)
            line.hearing.receive(PcmBatch.tick(line.clock.now_ns()))
        await turns()
        assert line.answered.result == "silence"
        await line.close()

    async def test_hang_up(self) -> None:
        line = Line(lambda call: call.detect_machine())
        await turns()
        await line.say(np.concatenate([silence(0.5), murmur(0.6)]))
        await line.hang_up()
        assert line.answered == Answered("call_hangup", "the call ended: stop")
        await line.close()

    @pytest.mark.parametrize("detect_interruptions", [False, True])
    async def test_hang_up_in_a_machines_greeting(self, detect_interruptions: bool) -> None:
        """Its verdict stands; `Line.close` looks whether anything is left behind."""
        line = Line(lambda call: call.detect_machine(detect_interruptions=detect_interruptions))
        await turns()
        await line.say(np.concatenate([silence(0.5), murmur(4.5)]))
        assert line.events("machine_detection_ended")
        await line.hang_up()
        assert (line.answered.result, line.answered.greeting_end) == ("machine", "")
        await line.close()

    async def test_one_at_a_time_by_rules_that_are_some(self) -> None:
        async def act(call: LiveCall) -> Any:
            first = asyncio.create_task(call.detect_machine())
            await asyncio.sleep(0)
            with pytest.raises(UsageError, match="already"):
                await call.detect_machine()
            with pytest.raises(ValueError, match="total_analysis_time_ms=1"):
                await call.detect_machine(total_analysis_time_ms=1)
            return await first

        line = Line(act)
        await turns()
        await line.hang_up()
        assert line.result == Answered("call_hangup", "the call ended: stop")
        await line.close()

    async def test_where_machines_are_told_of_in_all_calls_each_has_its_own_rules(self) -> None:
        line = Line(lambda call: call.detect_machine(after_greeting_silence_ms=300), "machine")
        await turns()
        await line.say(np.concatenate([silence(0.5), murmur(0.6), silence(1.5)]))
        assert line.answered.reason.startswith("silence for 300 ms")
        told = line.events("machine_detection_ended")
        assert [event["reason"][:18] for event in told] == ["silence for 800 ms"], "once, by the rules for all"
        await line.close()


@pytest.mark.realtime
async def test_keys_by_tones_over_a_socket_whatever_is_listened_for_in_all_calls() -> None:
    """5 comes as tones and as a frame, 7 as tones only."""

    async def act(call: LiveCall) -> Gathered:
        asks.set()
        return await call.gather(maximum_digits=2)

    asks = asyncio.Event()
    script = Script(act)
    async with serving(script) as server, stream(server) as carrier:
        await asks.wait()
        await carrier.talk(np.concatenate([silence(0.4), tones(0.1, 770, 1336), silence(0.1)]).astype(np.int16))
        await carrier.say("dtmf", dtmf={"digit": "5"})
        await carrier.talk(np.concatenate([tones(0.1, 852, 1209), silence(0.3)]).astype(np.int16))
        await script.done.wait()
    assert script.result == Gathered("57", "valid", "2 digits, which is the most", "", 1)
    assert server.bus.published["dtmf"] == 2
    assert server.bus.published["gather_ended"] == 1
