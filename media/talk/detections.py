"""`Detections`: the shell of `media.talk.detecting` and of `media.hearing.machine` in one call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from media.events.detections import GreetingEnded, MachineDetectionEnded, TrackSilent
from media.events.kinds import Event, SpeechEnded, SpeechStarted
from media.hearing.ear import DTMF, VOICE
from media.hearing.machine import MachineRules
from media.hearing.post import MACHINE
from media.hearing.rows import can_be_heard
from media.sinks.hearing import Demand
from media.talk.detecting import HEARD_BY, Detector, DetectorRules
from media.talk.office import Office, Watch, direction_of
from strep.errors import UsageError

if TYPE_CHECKING:
    from media.talk.call import LiveCall


@dataclass(frozen=True, slots=True)
class Answered:
    """Who answered.

    Attributes:
        result: "human", "machine", "fax_detected", "silence", "not_sure", or "call_hangup" if it ended before.
        reason: what decided, with its figure.
        greeting_end: how a machine's greeting ended: "beep_detected", "ended", "not_sure"; "" if nobody waited.
        words: so many were heard.
        greeting_ms: from the first word's beginning to the last one's end, until the verdict.
        silence_ms: before the first word.
        position_ms: where in the call the verdict was certain.
        greeting_end_ms: where it was certain that the greeting has ended.
    """

    result: str
    reason: str
    greeting_end: str = ""
    words: int = 0
    greeting_ms: int = 0
    silence_ms: int = 0
    position_ms: int | None = None
    greeting_end_ms: int | None = None


class Detections:
    """What is waited for in one call. Everything is called in the server's event loop."""

    def __init__(self, call: LiveCall, office: Office) -> None:
        self._call, self._office = call, office
        self._detectors: dict[Detector, Watch] = {}
        self._speaking: set[str] = set()  # tracks, of those on which voices are listened for
        self._machine: asyncio.Future[Answered] | None = None
        self._interruptible: list[Demand] = []  # greetings that have ended, and may go on

    def take(self, event: Event) -> None:
        """Take what happens in the call."""
        if isinstance(event, SpeechStarted) and self._are_voices_heard(event.track):
            self._speaking.add(event.track)
        elif isinstance(event, SpeechEnded):
            self._speaking.discard(event.track)
        for detector, watch in self._detectors.items():
            detector.receive(event, self._office.clock.now_ns())
            watch.touch()

    def end(self, reason: str) -> None:
        """Take note that the call is over."""
        for detector, watch in self._detectors.items():
            detector.give_up()
            watch.touch()
        while self._interruptible:
            self._office.hearing.dismiss(self._interruptible.pop())
        if self._machine is not None and not self._machine.done():
            self._machine.set_result(Answered("call_hangup", f"the call ended: {reason}"))

    async def detect(self, rules: DetectorRules) -> dict[str, Any] | None:
        """See `Questions.detect`."""
        if HEARD_BY[rules.kind] != DTMF:  # a carrier may tell of keys
            self._check_hearing()
        if self._call.has_ended:
            return None
        detector = Detector(rules, self._office.clock.now_ns(), speaks=rules.track in self._speaking)
        watch = self._detectors[detector] = Watch(detector, self._office.timer)
        try:
            with self._office.listening(self._call.info, HEARD_BY[rules.kind], rules.track):
                while not detector.is_over:
                    await watch.change()
        finally:
            self._office.timer.remove(watch)
            del self._detectors[detector]
            if not self._are_voices_heard(rules.track):  # nobody will tell us that they have fallen silent
                self._speaking.discard(rules.track)
        found, info = detector.found, self._call.info
        if isinstance(found, TrackSilent):
            self._office.publish(info, found)
        return None if found is None else {"event": found.NAME, **found.to_json(info.sample_rate_hz)}

    def _check_hearing(self) -> None:
        rate_hz = self._call.info.sample_rate_hz
        if not can_be_heard(rate_hz):
            raise UsageError(
                f"nothing is heard in this call: it has {rate_hz} Hz; 8000, 16000, 24000 or 48000 can be"
            )

    def _are_voices_heard(self, track: str) -> bool:
        asked = (detector.rules for detector in self._detectors)
        return VOICE in self._office.hearing.kinds or any(
            rules.track == track and HEARD_BY[rules.kind] == VOICE for rules in asked
        )

    # -- who answered --------------------------------------------------------------------------------

    async def detect_machine(self, track: str, rules: MachineRules) -> Answered:
        """See `Questions.detect_machine`."""
        self._check_hearing()
        if self._machine is not None:
            raise UsageError("who answered this call is being found out already: await that")
        if self._call.has_ended:
            return Answered("call_hangup", "the call had ended")
        future = self._machine = asyncio.get_running_loop().create_future()
        verdict: Answered | None = None

        def take(event: Event) -> None:
            nonlocal verdict
            if future.done():  # the call has ended: what could not be said until then is no verdict
                return
            if isinstance(event, MachineDetectionEnded):
                verdict = _answered(event, self._call.info.sample_rate_hz)
                if event.result != "machine" or not rules.detect_message_end:
                    settle(verdict)
            elif isinstance(event, GreetingEnded) and verdict is not None:
                at_ms = _ms(event.position_samples, self._call.info.sample_rate_hz)
                settle(replace(verdict, greeting_end=event.result, greeting_end_ms=at_ms))

        def settle(answered: Answered) -> None:
            if not future.done():
                future.set_result(answered)

        def tell(event: Event) -> None:
            self._office.call_soon(lambda: take(event))

        demand = Demand(self._call.info, direction_of(track), MACHINE, rules, tell)
        self._office.hearing.ask(demand)
        try:
            answered = await future
        finally:
            self._machine = None
            is_machine = verdict is not None and verdict.result == "machine"
            if is_machine and rules.detect_interruptions and not self._call.has_ended:
                self._interruptible.append(demand)
            else:
                self._office.hearing.dismiss(demand)
        return answered if verdict is None or answered.result != "call_hangup" else verdict


def _ms(samples: int | None, rate_hz: int) -> int | None:
    return None if samples is None else round(samples * 1000 / rate_hz)


def _answered(event: MachineDetectionEnded, rate_hz: int) -> Answered:
    return Answered(
        event.result,
        event.reason,
        words=event.words,
        greeting_ms=round(event.greeting_samples * 1000 / rate_hz),
        silence_ms=round(event.silence_samples * 1000 / rate_hz),
        position_ms=_ms(event.position_samples, rate_hz),
    )
