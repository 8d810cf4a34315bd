"""What actions do that talk with the caller; `media.control.storing` has the others. In the server's event loop.

Each returns when the thing is done or has begun, within seconds; what comes of it later is told by events.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from media.control import commands
from media.control.answers import Cleared, Done, Gathers, HeardOf, Playbacks, Playing
from media.control.contract import NO_CALL, NOT_NOW, ActionError
from media.control.media_files import media_path
from media.talk.call import LiveCall
from media.talk.handle import Playback
from media.transcribing.plugins import EngineChoice

MAX_PLAYS = 50
"""Of a call, queued or sounding, beyond which actions add none: each URL among them holds a connection."""
FOREVER = 0


@dataclass(slots=True)
class Doing:
    """An action that is being done.

    Attributes:
        call: to which call.
        media: directory of files that may be played.
        later: lets something go on behind the answer.
        engines: of transcription, with the operator's options.
        held: bytes of audio that bodies brought along, by what plays them.
    """

    call: LiveCall
    media: Path | None
    engines: Sequence[EngineChoice]
    later: Callable[[Coroutine[Any, Any, object]], asyncio.Task[object]]
    held: MutableMapping[Playback, int]

    def plays(self, playback_id: str) -> list[Playback]:
        """Return the one of that id, or all if it is empty.

        Raises:
            ActionError: there is none of that id.
        """
        plays = self.call.plays
        if playback_id:
            plays = [play for play in plays if play.playback_id == playback_id]
            if not plays:
                raise ActionError(
                    NO_CALL, "no_such_playback", f"{playback_id!r} neither plays nor waits in this call"
                )
        return plays


Do = Callable[[Doing, Any], Awaitable[Done]]

# -- playing -------------------------------------------------------------------------------------------


async def playback_start(doing: Doing, command: commands.PlaybackStart) -> Done:
    """See `PlaybackStart`."""
    source: Any = command.playback_content or command.audio_url
    if command.media_name:
        source = await asyncio.to_thread(media_path, doing.media, command.media_name)
    check_room(doing, overlay=command.overlay)
    before = _before(doing, command.stop)
    loop = FOREVER if command.loop == "infinity" else command.loop
    play = await doing.call.play(source, loop=loop, volume_db=command.volume_db, overlay=command.overlay)
    if command.content_bytes:
        doing.held[play] = command.content_bytes
    _stop(before)
    return Playing(playback_id=play.playback_id)


async def speak(doing: Doing, command: commands.Speak) -> Done:
    """See `Speak`."""
    check_room(doing, overlay=command.overlay)
    before = _before(doing, command.stop)
    play = await doing.call.speak(
        command.payload,
        engine=command.engine,
        voice=command.voice or None,
        language=command.language,
        volume_db=command.volume_db,
        overlay=command.overlay,
    )
    _stop(before)
    return Playing(playback_id=play.playback_id)


async def send_dtmf(doing: Doing, command: commands.SendDtmf) -> Done:
    """See `SendDtmf`."""
    check_room(doing, overlay=False)
    play = await doing.call.send_dtmf(command.digits, duration_ms=command.duration_millis)
    return Playing(playback_id=play.playback_id)


async def playback_stop(doing: Doing, command: commands.PlaybackStop) -> Done:
    """See `PlaybackStop`."""
    plays = doing.plays(command.playback_id)
    if not command.playback_id:
        plays = [play for play in plays if play.is_overlay is command.overlay]
        plays = plays[:1] if command.stop == "current" else plays
    return _stop(plays)


async def playback_pause(doing: Doing, command: commands.PlaybackPause) -> Done:
    """See `PlaybackPause`."""
    plays = doing.plays(command.playback_id)
    if not command.playback_id:
        plays = [play for play in plays if not play.is_overlay][:1] + [play for play in plays if play.is_overlay]
    for play in plays:
        play.pause()
    return _said(plays)


async def playback_resume(doing: Doing, command: commands.PlaybackResume) -> Done:
    """See `PlaybackResume`."""
    plays = [play for play in doing.plays(command.playback_id) if play.is_paused]
    for play in plays:
        play.resume()
    return _said(plays)


async def playback_volume(doing: Doing, command: commands.PlaybackVolume) -> Done:
    """See `PlaybackVolume`."""
    plays = doing.plays(command.playback_id)
    for play in plays:
        play.volume_db = command.volume_db
    return _said(plays)


async def clear(doing: Doing, command: commands.Clear) -> Done:
    """See `Clear`."""
    heard = [
        HeardOf(
            playback_id=one.play.playback_id,
            heard_ms=round(one.heard_seconds * 1000),
            is_measured=one.is_measured,
        )
        for one in await doing.call.clear()
    ]
    return Cleared(heard=heard)


def check_room(doing: Doing, *, overlay: bool) -> None:
    """See whether one more may play.

    Raises:
        ActionError: it may not.
    """
    plays = doing.call.plays
    if len(plays) >= MAX_PLAYS:
        raise ActionError(NOT_NOW, "too_many_plays", f"{MAX_PLAYS} plays wait in this call already; stop some first")
    if overlay and not any(play for play in plays if not play.is_overlay):
        raise ActionError(NOT_NOW, "nothing_plays", "overlay lies over what plays, and nothing does")


def _before(doing: Doing, which: str | None) -> list[Playback]:
    """Return what is to be stopped once something else can be played in its place."""
    plays = [play for play in doing.call.plays if not play.is_overlay] if which is not None else []
    return plays[:1] if which == "current" else plays


def _stop(plays: list[Playback]) -> Playbacks:
    for play in reversed(plays):  # the last first: none of them begins meanwhile
        play.stop()
    return _said(plays)


def _said(plays: list[Playback]) -> Playbacks:
    return Playbacks(playback_ids=[play.playback_id for play in plays])


# -- asking --------------------------------------------------------------------------------------------


async def gather(doing: Doing, command: commands.Gather) -> Done:
    """See `Gather`."""
    return await _gather(doing, command)


async def gather_using_audio(doing: Doing, command: commands.GatherUsingAudio) -> Done:
    """See `GatherUsingAudio`."""

    async def source(url: Any, name: Any) -> Any:
        return await asyncio.to_thread(media_path, doing.media, name) if name else url or None

    prompt = await source(command.audio_url, command.media_name)
    invalid = await source(command.invalid_audio_url, command.invalid_media_name)
    return await _gather(doing, command, prompt=prompt, invalid_prompt=invalid, maximum_tries=command.maximum_tries)


async def gather_using_speak(doing: Doing, command: commands.GatherUsingSpeak) -> Done:
    """See `GatherUsingSpeak`."""
    speech = {"engine": command.engine, "language": command.language, "voice": command.voice or None}
    return await _gather(
        doing,
        command,
        speak=command.payload,
        invalid_speak=command.invalid_payload,
        speech=speech,
        maximum_tries=command.maximum_tries,
    )


async def _gather(doing: Doing, command: commands.Gather, **more: Any) -> Gathers:
    gather_id = command.gather_id or str(uuid.uuid4())
    task = doing.later(
        doing.call.gather(
            minimum_digits=command.minimum_digits,
            maximum_digits=command.maximum_digits,
            valid_digits=command.valid_digits,
            terminating_digit=command.terminating_digit,
            timeout_ms=command.timeout_millis,
            initial_timeout_ms=command.initial_timeout_millis,
            inter_digit_timeout_ms=command.inter_digit_timeout_millis,
            gather_id=gather_id,
            **more,
        )
    )
    await asyncio.sleep(0)  # it has begun now, or cannot
    if task.done():
        task.result()
    return Gathers(gather_id=gather_id)


async def gather_stop(doing: Doing, command: commands.GatherStop) -> Done:
    """See `GatherStop`."""
    doing.call.stop_gather()
    return Done()


# -- the end -------------------------------------------------------------------------------------------


async def hangup(doing: Doing, command: commands.Command) -> Done:
    """See `Hangup`."""
    await doing.call.hang_up()
    return Done()


TALKING: dict[str, Do] = {
    "playback_start": playback_start,
    "playback_stop": playback_stop,
    "playback_pause": playback_pause,
    "playback_resume": playback_resume,
    "playback_volume": playback_volume,
    "clear": clear,
    "speak": speak,
    "send_dtmf": send_dtmf,
    "gather": gather,
    "gather_using_audio": gather_using_audio,
    "gather_using_speak": gather_using_speak,
    "gather_stop": gather_stop,
    "hangup": hangup,
}
