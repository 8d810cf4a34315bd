"""`TakeOptions`: what may be asked of a take, in the words of `record_start` and `record` of the carriers.

======================  =====================  ==============  ======================================================
here                    Telnyx record_start    SignalWire      unless given
======================  =====================  ==============  ======================================================
channels                channels               stereo          dual (both carriers want it said, or have single)
track                   recording_track        direction       both
play_beep               play_beep              beep            no
max_length_s            max_length             max_length      0: as long as the call
end_silence_s           timeout_secs           end_silence_-   0: never; it counts from the first sound on, as
                                               timeout         Telnyx has it
initial_timeout_s       -                      initial_-       0: never
                                               timeout
silence_dbm0            -                      input_-         -45
                                               sensitivity
trim_silence            trim "trim-silence"    -               no
name                    custom_file_name       -               take
format                  format                 format          that of the server
look_back_s             -                      -               0
======================  =====================  ==============  ======================================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from media.sinks.finished import FileFormat
from media.sinks.rewriting import Single
from strep.errors import UsageError

MAX_LENGTH_S = 14_400
"""Telnyx' and TryVox' longest; 0 is without a limit."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", re.ASCII)
"""Of a part of a file's name: 1 to 40 characters, as Telnyx has it, none that means something to a file system."""
_FORMATS = (None, "wav", "mp3", "flac", "opus")


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOptions:
    """See the module.

    Attributes:
        channels: "dual", inbound left and outbound right, or "single": a track, or both mixed
            (`media.sinks.rewriting.mixed`). One track is single always.
        track: what of the call: both, inbound or outbound.
        play_beep: let callers hear a beep before it begins, in calls that can be played to.
        beep_in_file: have it at the beginning of the file as well.
        max_length_s: it ends so long after it was started.
        end_silence_s: it ends when nothing was heard for so long; once something was heard.
        initial_timeout_s: it ends when nothing was heard so far.
        silence_dbm0: what is quieter is nothing: the level of 20 ms of a track.
        trim_silence: cut silence off its beginning and its end when it is closed.
        name: its file is called ``<call_id>.<name>.wav``; the second of a name ``<call_id>.<name>.2.wav``.
        format: what the file is to become when it is closed.
        look_back_s: let it begin so long before now.
    """

    channels: Literal["dual", "single"] = "dual"
    track: Single = "both"
    play_beep: bool = False
    beep_in_file: bool = False
    max_length_s: float = 0
    end_silence_s: float = 0
    initial_timeout_s: float = 0
    silence_dbm0: float = -45.0
    trim_silence: bool = False
    name: str = "take"
    format: FileFormat | None = None
    look_back_s: float = 0

    def __post_init__(self) -> None:
        """Check.

        Raises:
            UsageError: an option that cannot be; it says which, and what can.
        """
        self._check("channels", self.channels in ("dual", "single"), "dual or single")
        self._check("track", self.track in ("both", "inbound", "outbound"), "both, inbound or outbound")
        self._check("format", self.format in _FORMATS, "wav, mp3, flac or opus")
        for name in ("max_length_s", "end_silence_s", "initial_timeout_s"):
            self._check(name, 0 <= getattr(self, name) <= MAX_LENGTH_S, f"0 (never) to {MAX_LENGTH_S} seconds")
        self._check("silence_dbm0", -70 <= self.silence_dbm0 <= -10, "-70 to -10 dBm0")
        self._check("look_back_s", self.look_back_s >= 0, "0 or more seconds")
        self._check("name", is_name(self.name), "1 to 40 letters, digits, - and _, not only digits")

    def _check(self, name: str, is_good: bool, what: str) -> None:
        if not is_good:
            raise UsageError(f"recording: {name}={getattr(self, name)!r} cannot be: {what}")

    @property
    def single(self) -> Single | None:
        """What the one channel of the file is to be; None where it has two."""
        return self.track if self.channels == "single" or self.track != "both" else None

    @property
    def wanted_channels(self) -> tuple[int, ...]:
        """Which channels of a call are recorded."""
        return {"both": (0, 1), "inbound": (0,), "outbound": (1,)}[self.track]


def is_name(name: object) -> bool:
    """Return whether a file may be called so; only digits would be taken for the number of a call."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None and not name.isdigit()
