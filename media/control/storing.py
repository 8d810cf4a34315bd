"""What actions do with a call's audio: recordings, transcripts, noise suppression. In the server's event loop."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from media.control import keeping
from media.control.answers import Done, Recording, Recordings, Transcribed
from media.control.contract import NO_CALL, NOT_NOW, ActionError
from media.control.doing import Do, Doing, check_room
from media.events.recordings import RecordingFailed
from media.sinks.takes.options import TakeOptions
from media.talk.recording import Recorder
from media.transcribing.remote import remote_choice
from strep.errors import StrepError

_INTERIM = "interim_results"


async def record_start(doing: Doing, command: keeping.RecordStart) -> Done:
    """See `RecordStart`."""
    recording_id = str(uuid.uuid4())
    options: dict[str, Any] = {
        "format": command.format,
        "channels": command.channels,
        "track": command.recording_track,
        "play_beep": command.play_beep,
        "max_length_s": command.max_length,
        "end_silence_s": command.timeout_secs,
        "initial_timeout_s": command.initial_timeout_secs,
        "trim_silence": command.trim is not None,
        "name": command.custom_file_name,
        "look_back_s": command.look_back_secs,
    }
    _recorder(doing).check(doing.call.info, TakeOptions(**options))
    if command.play_beep and doing.call.can_play:  # which waits for what plays before it
        check_room(doing, overlay=False)
        doing.later(_record_behind_beep(doing, recording_id, options))
    else:
        await doing.call.start_recording(recording_id=recording_id, **options)
    return Recording(recording_id=recording_id)


async def _record_behind_beep(doing: Doing, recording_id: str, options: dict[str, Any]) -> None:
    try:
        await doing.call.start_recording(recording_id=recording_id, **options)
    except StrepError as error:
        doing.call.publish(RecordingFailed(recording_id=recording_id, error=str(error), is_take=True))


async def record_stop(doing: Doing, command: keeping.RecordStop) -> Done:
    """See `RecordStop`."""
    takes = [take for take in _recorder(doing).running(doing.call.info) if not take.is_stopped]
    if command.recording_id:
        takes = [take for take in takes if take.recording_id == command.recording_id]
        if not takes:
            raise ActionError(NO_CALL, "no_such_recording", f"{command.recording_id!r} does not record this call")
    if not takes:
        text = "nothing to stop: what record_start began was stopped already, or has not begun (its beep comes first)"
        raise ActionError(NOT_NOW, "nothing_records", text)
    for take in takes:
        take.stop()
    return Recordings(recording_ids=[take.recording_id for take in takes])


async def record_pause(doing: Doing, command: keeping.RecordPause) -> Done:
    """See `RecordPause`."""
    doing.call.pause_recording(command.mode, by=command.by, reason=command.reason)
    return Done()


async def record_resume(doing: Doing, command: keeping.RecordResume) -> Done:
    """See `RecordResume`."""
    doing.call.resume_recording(by=command.by, reason=command.reason)
    return Done()


def _recorder(doing: Doing) -> Recorder:
    recorder = doing.call.recorder
    assert recorder is not None  # a server's calls have one
    return recorder


async def transcription_start(doing: Doing, command: keeping.TranscriptionStart) -> Done:
    """See `TranscriptionStart`."""
    config = dict(command.transcription_engine_config)
    interim = config.pop(_INTERIM, False)
    choice = await asyncio.to_thread(remote_choice, command.transcription_engine, config, doing.engines)
    await doing.call.start_transcription(
        choice, transcription_tracks=command.transcription_tracks, interim_results=interim is True
    )
    return Done()


async def transcription_stop(doing: Doing, command: keeping.TranscriptionStop) -> Done:
    """See `TranscriptionStop`."""
    return Transcribed(was_transcribed=await doing.call.stop_transcription())


async def suppression_start(doing: Doing, command: keeping.SuppressionStart) -> Done:
    """See `SuppressionStart`."""
    return _suppress(doing, command, on=True)


async def suppression_stop(doing: Doing, command: keeping.SuppressionStop) -> Done:
    """See `SuppressionStop`."""
    return _suppress(doing, command, on=False)


def _suppress(doing: Doing, command: keeping.SuppressionStart | keeping.SuppressionStop, *, on: bool) -> Done:
    sinks = command.sinks or doing.call.denoisable
    if not sinks:
        raise ActionError(NOT_NOW, "no_suppression", "noise is suppressed in front of no sink here: see --denoise")
    doing.call.suppress_noise(command.direction, on=on, sinks=sinks)
    return Done()


STORING: dict[str, Do] = {
    "record_start": record_start,
    "record_stop": record_stop,
    "record_pause": record_pause,
    "record_resume": record_resume,
    "transcription_start": transcription_start,
    "transcription_stop": transcription_stop,
    "suppression_start": suppression_start,
    "suppression_stop": suppression_stop,
}
