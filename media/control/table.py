"""`ACTIONS`: what there is to do to a call, as data. Who does it is `media.control.doing`, of the same names.

Whoever only talks to a server, such as a command line, needs no more than this.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass

import msgspec

from media.control import answers, commands, keeping
from media.control.commands import MAX_CONTENT_BYTES, Command

MAX_BODY_BYTES = 64 << 10
MAX_AUDIO_BODY_BYTES = -(-MAX_CONTENT_BYTES // 3) * 4 + MAX_BODY_BYTES
"""Of a body that may bring audio along, in base64."""


@dataclass(frozen=True, slots=True)
class Action:
    """One action.

    Attributes:
        command: the type of its body.
        answer: that of what is in ``data`` when it is done, or has begun.
        events: names of those that tell what comes of it.
        speaks: it needs a call that can be played to.
        one_of: fields of the body of which there is just one.
    """

    command: type[Command]
    answer: type[answers.Done]
    events: tuple[str, ...] = ()
    speaks: bool = False
    one_of: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """What it does, in one sentence."""
        return inspect.getdoc(self.command).split("\n")[0]  # type: ignore[union-attr]

    @property
    def most_bytes(self) -> int:
        """Of its body."""
        return MAX_AUDIO_BODY_BYTES if "playback_content" in self.command.__struct_fields__ else MAX_BODY_BYTES


_PLAYBACK = ("playback_started", "playback_ended")
_RECORDING = ("recording_started", "recording_saved", "recording_failed")
ACTIONS = {
    "playback_start": Action(
        commands.PlaybackStart,
        answers.Playing,
        _PLAYBACK,
        speaks=True,
        one_of=("audio_url", "media_name", "playback_content"),
    ),
    "playback_stop": Action(commands.PlaybackStop, answers.Playbacks, _PLAYBACK[1:], speaks=True),
    "playback_pause": Action(commands.PlaybackPause, answers.Playbacks, speaks=True),
    "playback_resume": Action(commands.PlaybackResume, answers.Playbacks, speaks=True),
    "playback_volume": Action(commands.PlaybackVolume, answers.Playbacks, speaks=True),
    "clear": Action(commands.Clear, answers.Cleared, _PLAYBACK[1:], speaks=True),
    "speak": Action(commands.Speak, answers.Playing, _PLAYBACK, speaks=True),
    "send_dtmf": Action(commands.SendDtmf, answers.Playing, _PLAYBACK, speaks=True),
    "gather": Action(commands.Gather, answers.Gathers, ("dtmf", "gather_ended")),
    "gather_using_audio": Action(
        commands.GatherUsingAudio,
        answers.Gathers,
        (*_PLAYBACK, "dtmf", "gather_ended"),
        speaks=True,
        one_of=("audio_url", "media_name"),
    ),
    "gather_using_speak": Action(
        commands.GatherUsingSpeak, answers.Gathers, (*_PLAYBACK, "dtmf", "gather_ended"), speaks=True
    ),
    "gather_stop": Action(commands.GatherStop, answers.Done, ("gather_ended",)),
    "record_start": Action(keeping.RecordStart, answers.Recording, _RECORDING),
    "record_stop": Action(keeping.RecordStop, answers.Recordings, _RECORDING[1:]),
    "record_pause": Action(keeping.RecordPause, answers.Done, ("recording_paused",)),
    "record_resume": Action(keeping.RecordResume, answers.Done, ("recording_resumed",)),
    "transcription_start": Action(keeping.TranscriptionStart, answers.Done, ("transcription",)),
    "transcription_stop": Action(keeping.TranscriptionStop, answers.Transcribed),
    "suppression_start": Action(keeping.SuppressionStart, answers.Done, ("noise_suppression",)),
    "suppression_stop": Action(keeping.SuppressionStop, answers.Done, ("noise_suppression",)),
    "hangup": Action(keeping.Hangup, answers.Done, ("call_ended",)),
}


def descriptions(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Return what a type's docstring, or that of one it is derived from, says of each of its fields."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        section = (inspect.getdoc(base) or "").partition("Attributes:\n")[2].partition("\n\n")[0]
        for names, text in re.findall(r"^    (\w[\w, ]*): (.*(?:\n {8}.*)*)", section, re.MULTILINE):
            found |= dict.fromkeys(names.split(", "), " ".join(text.split()))
    return {name: found[name] for name in kind.__struct_fields__ if name in found}
