"""`Gathers`: the shell of `media.talk.gathering` in one call: plays prompts, arms the timer, tells the result."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from media.events.gathers import GatherEnded
from media.events.kinds import DigitPressed
from media.hearing.ear import DTMF
from media.talk.contract import PlaybackError
from media.talk.gathering import MAX_DIGITS, Gathered, Gathering, GatherRules, Phase
from media.talk.office import Office, Watch, direction_of
from strep.errors import UsageError

if TYPE_CHECKING:
    from media.talk.call import LiveCall

TRIES_WITH_A_PROMPT = 3
"""Telnyx's ``maximum_tries``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """What is played before digits are waited for.

    Attributes:
        prompt, speak: what `LiveCall.play` takes, or a text.
        rate_hz: of both prompts, which are arrays or raw PCM then.
        invalid_prompt, invalid_speak: the same, before the prompt is repeated because of what was entered.
        speech: options of `LiveCall.speak`: voice, language, engine.
    """

    prompt: Any = None
    speak: str = ""
    invalid_prompt: Any = None
    invalid_speak: str = ""
    rate_hz: int | None = None
    speech: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check them.

        Raises:
            ValueError: there is something to play before a prompt, and no prompt.
        """
        if not self and (self.invalid_prompt is not None or self.invalid_speak):
            raise ValueError("invalid_prompt and invalid_speak go before a prompt: give prompt or speak as well")

    def __bool__(self) -> bool:
        """Return whether there is one."""
        return self.prompt is not None or bool(self.speak)

    async def play(self, call: LiveCall, *, was_invalid: bool) -> None:
        """Play what is to be played, until it was heard."""
        plays = []
        for source, text in ((self.invalid_prompt, self.invalid_speak), (self.prompt, self.speak))[not was_invalid :]:
            if source is not None:
                plays.append(await call.play(source, rate_hz=self.rate_hz))
            if text:
                plays.append(await call.speak(text, **self.speech))
        for play in plays:
            await play.wait()


@dataclass(eq=False, slots=True)
class _Going:
    """A gathering that goes on; `is_private`: a key of it came while the call's recording was paused."""

    gathering: Gathering
    watch: Watch
    track: str
    gather_id: str
    is_private: bool = False


class Gathers:
    """The digits of one call. Everything is called in the server's event loop."""

    def __init__(self, call: LiveCall, office: Office) -> None:
        self._call, self._office = call, office
        self._early: deque[tuple[DigitPressed, bool]] = deque(maxlen=MAX_DIGITS)  # that nobody has asked for
        self._going: _Going | None = None

    def take(self, event: DigitPressed, *, is_private: bool) -> None:
        """Take a key."""
        going = self._going
        if going is None or going.gathering.result is not None or event.track not in ("", going.track):
            self._early.append((event, is_private))
            return
        going.is_private |= is_private
        going.gathering.receive(event.digit, self._office.clock.now_ns())
        going.watch.touch()

    def end(self, reason: str) -> None:
        """Take note that the call is over."""
        if self._going is not None:
            self._going.gathering.hang_up(reason)
            self._going.watch.touch()

    def stop(self) -> None:
        """See `Questions.stop_gather`."""
        if self._going is not None:
            self._going.gathering.cancel()
            self._going.watch.touch()

    @property
    def is_going(self) -> bool:
        """Whether digits are waited for."""
        return self._going is not None

    async def gather(
        self, prompts: Prompts, track: str, typed_ahead: bool, rules: dict[str, Any], gather_id: str = ""
    ) -> Gathered:
        """See `Questions.gather`."""
        direction_of(track)
        if self._going is not None:
            raise UsageError(
                "digits are gathered in this call already: wait for its end, or end it (stop_gather, gather_stop)"
            )
        tries = TRIES_WITH_A_PROMPT if prompts else 1
        checked = GatherRules(**{"maximum_tries": tries, **rules})
        if isinstance(prompts.prompt, AsyncIterable) and checked.maximum_tries > 1:
            raise PlaybackError("an iterator of PCM can be played only once: maximum_tries=1, or collect an array")
        gathering = Gathering(checked, self._office.clock.now_ns(), has_prompt=bool(prompts))
        going = self._going = _Going(gathering, Watch(gathering, self._office.timer), track, gather_id)
        early, self._early = self._early, deque(maxlen=MAX_DIGITS)
        try:
            if self._call.has_ended:
                gathering.hang_up("before anything was gathered")
            for event, is_private in early if typed_ahead else ():
                self.take(event, is_private=is_private)
            with self._office.listening(self._call.info, DTMF, track):
                await self._until_gathered(gathering, going.watch, prompts)
        except PlaybackError as error:
            gathering.cancel(f"the prompt cannot be played: {error}")
            raise
        finally:
            self._office.timer.remove(going.watch)
            self._going = None
            gathering.cancel("the application does not wait for it any more")
            result = self._publish(going)
        return result

    def _publish(self, going: _Going) -> Gathered:
        result = going.gathering.result
        assert result is not None
        said: dict[str, Any] = {"digits": result.digits, "status": result.status, "reason": result.reason}
        event = GatherEnded(track=going.track, **said, tries=result.tries, gather_id=going.gather_id)
        self._office.publish(self._call.info, event.without_private() if going.is_private else event)
        return result

    async def _until_gathered(self, gathering: Gathering, watch: Watch, prompts: Prompts) -> None:
        while gathering.result is None:
            if gathering.phase is Phase.PROMPTED:
                await self._prompt(gathering, watch, prompts)
            else:
                await watch.change()

    async def _prompt(self, gathering: Gathering, watch: Watch, prompts: Prompts) -> None:
        """Play what there is to be played in this try, until it was heard or a key interrupts it."""
        number = gathering.tries

        def is_wanted() -> bool:
            return gathering.phase is Phase.PROMPTED and gathering.tries == number

        def wake(task: asyncio.Task[None]) -> None:
            if not task.cancelled():
                task.exception()  # seen; of one that is not wanted any more nobody asks
            watch.touch()

        # A task: it may be long before a URL can be played, or a text is spoken.
        played = asyncio.create_task(prompts.play(self._call, was_invalid=gathering.was_invalid))
        played.add_done_callback(wake)
        try:
            while is_wanted() and (self._call.has_ended or not played.done()):  # `end` follows when that has ended
                await watch.change()
        finally:
            played.cancel()
        if is_wanted():
            await played
            gathering.prompt_ended(self._office.clock.now_ns())
        elif not self._call.has_ended:
            await self._call.clear()
