"""Bodies of actions on what becomes of a call's audio: recordings, transcripts, noise suppression; and its end."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from media.control.commands import Command, Id, Name

MAX_RECORDING_S = 14_400
"""Of `media.sinks.takes.options`."""

Words = Annotated[str, Meta(max_length=200)]
Seconds = Annotated[float, Meta(ge=0, le=MAX_RECORDING_S)]
Sides = Literal["inbound", "outbound", "both"]
SinkNames = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...], Meta(max_length=16)]


class RecordStart(Command, kw_only=True):
    """Begin a recording of its own of the call, or of a side of it.

    Attributes:
        format: what the file is to become; else the server's.
        channels: dual is inbound left, outbound right; single is one side, or both mixed.
        recording_track: which side; one side is single always.
        play_beep: let the caller hear a beep before it begins, where the call can be played to.
        max_length: it ends after so many seconds; 0 is never.
        timeout_secs: it ends when nothing was heard for so long, once something was; 0 is never.
        initial_timeout_secs: it ends when nothing was heard so far; 0 is never.
        trim: cut silence off its ends.
        custom_file_name: its file is CALL.NAME.wav.
        look_back_secs: let it begin so long before now; ``--look-back`` says how long that may be.
    """

    format: Literal["wav", "mp3", "flac", "opus"] | None = None
    channels: Literal["dual", "single"] = "dual"
    recording_track: Sides = "both"
    play_beep: bool = False
    max_length: Seconds = 0
    timeout_secs: Seconds = 0
    initial_timeout_secs: Seconds = 0
    trim: Literal["trim-silence"] | None = None
    custom_file_name: Annotated[str, Meta(max_length=40, pattern="^[A-Za-z0-9][A-Za-z0-9_-]*$")] = "take"
    look_back_secs: Annotated[float, Meta(ge=0, le=3600)] = 0

    def __post_init__(self) -> None:
        """Check what no pattern says well."""
        if self.custom_file_name.isdigit():
            raise ValueError("custom_file_name has a letter, - or _: files are numbered by digits alone")


class RecordStop(Command, kw_only=True):
    """End recordings that were started by `record_start`; `recording_saved` tells when the file is closed.

    Attributes:
        recording_id: which one; else all there are.
    """

    recording_id: Id = ""


class RecordPause(Command, kw_only=True):
    """Keep nothing of the call from now on, in no recording and no other sink that keeps or passes on.

    Attributes:
        mode: silence keeps the time in files, omit cuts it out of them.
        by, reason: who wants it, and why; sidecars and events have it.
    """

    mode: Literal["silence", "omit"] = "silence"
    by: Words = ""
    reason: Words = ""


class RecordResume(Command, kw_only=True):
    """Keep what comes from now on.

    Attributes:
        by, reason: as of `record_pause`.
    """

    by: Words = ""
    reason: Words = ""


class TranscriptionStart(Command, kw_only=True):
    """Transcribe from now on; events `transcription` tell what is said.

    Attributes:
        transcription_engine: see docs/listening.md for what there is.
        transcription_tracks: which side.
        transcription_engine_config: options of the engine, such as language, that are not the operator's
            (``--transcribe-engine``); and interim_results.
    """

    transcription_engine: Name = "pocketsphinx"
    transcription_tracks: Sides = "inbound"
    transcription_engine_config: Annotated[
        dict[Annotated[str, Meta(min_length=1, max_length=64)], Annotated[str, Meta(max_length=2000)] | float | bool],
        Meta(max_length=32),
    ] = field(default_factory=dict)


class TranscriptionStop(Command, kw_only=True):
    """Transcribe no more; what was said before is still told."""


class SuppressionStart(Command, kw_only=True):
    """Suppress noise from the next block on, where ``--denoise`` put it.

    Attributes:
        direction: inbound is what the carrier received.
        sinks: names of those; else all there are.
    """

    direction: Sides = "inbound"
    sinks: SinkNames = ()


class SuppressionStop(Command, kw_only=True):
    """Cease to suppress noise.

    Attributes:
        direction: else both.
        sinks: names; else all there are.
    """

    direction: Sides = "both"
    sinks: SinkNames = ()


class Hangup(Command, kw_only=True):
    """End the call, and close the sockets of its stream."""
