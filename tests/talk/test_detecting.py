"""What an application waits for in a call: keys, tones, speech, silence, and who answered."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from media.blocks import PcmBatch
from media.talk.call import LiveCall
from media.talk.detections import Answered
from media.talk.gathering import Gathered
from strep.errors import UsageError
from tests.hearing.audio import silence, tones
from tests.talk.line import Line, detects, murmur
from tests.talk.live_calls import Script, serving, stream
from tests.talk.switchboard import turns


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
