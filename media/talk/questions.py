"""`Questions`: the part of `media.talk.call.LiveCall` that listens and asks: for audio, digits, and who answered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from media.events.bus import Told
from media.events.kinds import DigitPressed
from media.hearing.machine import MachineRules
from media.talk.detecting import DetectorRules
from media.talk.detections import Answered, Detections
from media.talk.gathering import Gathered
from media.talk.gathers import Gathers, Prompts
from media.talk.listening import Block, Ear, Hearing
from strep.header import Direction

TRACKS = {"inbound": Direction.INBOUND, "outbound": Direction.OUTBOUND}


class Questions:
    """Asks; see `docs/listening.md` for how the carriers call all of it."""

    _hearing: Hearing
    _gathers: Gathers
    _detections: Detections

    async def listen(self, track: str = "inbound", block_ms: int = 20) -> AsyncIterator[Block]:
        """Iterate over the audio of one track as it comes, until the call ends.

        An application that begins with this, itself or in a task that it starts, hears the call from its first
        sample, however busy the process is; later on audio is that from now on.

        Raises:
            ValueError: no such track, or a block that is not 10 to 10,000 ms.
        """
        if track not in TRACKS or not 10 <= block_ms <= 10_000:
            raise ValueError(f"track={track!r}, block_ms={block_ms}: inbound or outbound, 10 to 10000 ms")
        ear = Ear(TRACKS[track], block_ms)
        self._hearing.add(ear)
        try:
            async for block in ear.mailbox:
                yield block
        finally:
            self._hearing.remove(ear)

    async def gather(
        self,
        *,
        prompt: Any = None,
        speak: str = "",
        invalid_prompt: Any = None,
        invalid_speak: str = "",
        prompt_rate_hz: int | None = None,
        speech: Mapping[str, Any] | None = None,
        typed_ahead: bool = False,
        track: str = "inbound",
        gather_id: str = "",
        **rules: Any,
    ) -> Gathered:
        """Wait for digits, of all the ways that keys come by; each counts once.

        Where a call's audio cannot be heard, for its rate, only keys that the carrier tells of are known.

        Args:
            prompt: what `play` takes. The first key interrupts it, and all else that plays.
            speak: a text instead.
            invalid_prompt: played before the prompt when that is repeated because of what was entered.
            invalid_speak: a text instead.
            prompt_rate_hz: of both prompts, which are arrays or raw PCM then.
            speech: options of `speak` for these texts: voice, language, engine.
            typed_ahead: begin with the keys that were pressed since the last gathering, or since the call began;
                else they are forgotten.
            track: whose keys, inbound or outbound.
            gather_id: its name in the event `gather_ended`.
            rules: those of `media.talk.gathering.GatherRules`; with a prompt there are 3 tries unless given.

        Raises:
            ValueError: a rule out of range, or something for what is invalid without a prompt.
            PlaybackError: the prompt cannot be played.
            UsageError: digits are gathered in this call already.
        """
        prompts = Prompts(
            prompt=prompt,
            speak=speak,
            invalid_prompt=invalid_prompt,
            invalid_speak=invalid_speak,
            rate_hz=prompt_rate_hz,
            speech=speech or {},
        )
        return await self._gathers.gather(prompts, track, typed_ahead, rules, gather_id)

    @property
    def is_gathering(self) -> bool:
        """Whether digits are waited for."""
        return self._gathers.is_going

    def stop_gather(self) -> None:
        """End `gather` with what there is, as cancelled; nothing happens if there is none."""
        self._gathers.stop()

    async def detect_machine(self, *, track: str = "inbound", **rules: Any) -> Answered:
        """Find out whether a person or a machine answered; of a machine, wait until its greeting has ended.

        Ask as soon as the call is answered: what was said before is not known.

        Args:
            track: of the one who answered.
            rules: those of `media.hearing.machine.MachineRules`; with ``detect_message_end=False`` a machine is told
                as soon as it is known.

        Raises:
            ValueError: a rule out of range.
            UsageError: it is being found out already, or the call's audio cannot be heard, for its rate.
        """
        return await self._detections.detect_machine(track, MachineRules(**rules))

    async def detect(self, kind: str, **rules: Any) -> dict[str, Any] | None:
        """Wait for the first "digit", "fax", "beep", "speech" or "silence", and return it as an event.

        Args:
            kind: which.
            rules: those of `media.talk.detecting.DetectorRules`.

        Returns:
            As `events` has it; None if it did not come within ``timeout_ms``, or the call ended.

        Raises:
            ValueError: a rule out of range.
            UsageError: it is heard, and the call's audio cannot be, for its rate.
        """
        return await self._detections.detect(DetectorRules(kind=kind, **rules))

    def _take(self, told: Told) -> None:
        event = told.in_full
        if isinstance(event, DigitPressed):
            self._gathers.take(event, is_private=told.private is not None)
        self._detections.take(event)

    def _stop_asking(self, reason: str) -> None:
        self._gathers.end(reason)
        self._detections.end(reason)
