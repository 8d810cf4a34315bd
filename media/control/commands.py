"""Bodies of actions: names, defaults and bounds are those of Telnyx' call control commands, where it has them.

What these types say is checked before anything is done, and is what ``/openapi.json`` and docs/control.md say.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from media.talk.gathering import MAX_DIGITS, MAX_TIMEOUT_MS, MAX_TRIES

MAX_CONTENT_BYTES = 6 << 20
"""Of an audio file in a body: six minutes of WAV at 8 kHz, a quarter of an hour of MP3 at 48 kbit/s."""
MAX_CHARACTERS = 3000
"""Of a text to speak; `media.voices.contract.MAX_CHARACTERS`."""
MAX_LOOP = 100

Keys = Annotated[str, Meta(min_length=1, max_length=16, pattern="^[0-9A-D*#]+$")]
Url = Annotated[str, Meta(min_length=8, max_length=8000, pattern="^https?://")]
MediaName = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$")]
Text = Annotated[str, Meta(min_length=1, max_length=MAX_CHARACTERS)]
Id = Annotated[str, Meta(max_length=64)]
Name = Annotated[str, Meta(max_length=64)]
VolumeDb = Annotated[float, Meta(ge=-40, le=40)]
Loop = Annotated[int, Meta(ge=1, le=MAX_LOOP)] | Literal["infinity"]
Digits = Annotated[int, Meta(ge=1, le=MAX_DIGITS)]
Millis = Annotated[int, Meta(ge=1, le=MAX_TIMEOUT_MS)]


class Command(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What all of them may have.

    Attributes:
        command_id: a command of this id that was given to the call before is answered as it was, and not done again.
        client_state: base64; what happens in the call from now on is told with it (`client_state` of events).
    """

    command_id: Annotated[str, Meta(max_length=128)] = ""
    client_state: Annotated[str, Meta(max_length=4096, pattern="^[A-Za-z0-9+/]*={0,2}$")] | None = None

    @property
    def content_bytes(self) -> int:
        """Bytes of audio that it brings along."""
        return 0


class PlaybackStart(Command, kw_only=True):
    """Play an audio file behind what is queued, or over it.

    Attributes:
        audio_url: http or https, of the public internet; just one of this and the next two.
        media_name: name of a file in the directory of ``--media``.
        playback_content: base64 of an audio file.
        audio_type: not needed: what it is shows in the file.
        loop: how often.
        overlay: lay it over what plays.
        stop: stop what plays, or all, before.
        volume_db: 0 is as it is.
        target_legs, cache_audio: accepted, and without a meaning here.
    """

    audio_url: Url | UnsetType = UNSET
    media_name: MediaName | UnsetType = UNSET
    playback_content: Annotated[bytes, Meta(max_length=MAX_CONTENT_BYTES)] | UnsetType = UNSET
    audio_type: Literal["mp3", "wav"] | None = None
    loop: Loop = 1
    overlay: bool = False
    stop: Literal["current", "all"] | None = None
    volume_db: VolumeDb = 0.0
    target_legs: Literal["self", "opposite", "both"] | None = None
    cache_audio: bool | None = None

    def __post_init__(self) -> None:
        """Check that there is just one.

        Raises:
            ValueError: there is none, or more.
        """
        if sum(map(bool, (self.audio_url, self.media_name, self.playback_content))) != 1:
            raise ValueError("give just one of audio_url, media_name, playback_content")

    @property
    def content_bytes(self) -> int:
        """See `Command`."""
        return len(self.playback_content or b"")


class PlaybackStop(Command, kw_only=True):
    """Stop plays; what is queued behind them begins.

    Attributes:
        stop: the play of the queue that sounds, or all.
        overlay: of those that lie over the queue instead.
        playback_id: just this one.
    """

    stop: Literal["current", "all"] = "all"
    overlay: bool = False
    playback_id: Id = ""


class PlaybackPause(Command, kw_only=True):
    """Let plays fall silent, and keep their place.

    Attributes:
        playback_id: which one; else the one of the queue that sounds, and those that lie over it.
    """

    playback_id: Id = ""


class PlaybackResume(Command, kw_only=True):
    """Let plays go on behind the sample that was heard last.

    Attributes:
        playback_id: which one; else all that are paused.
    """

    playback_id: Id = ""


class PlaybackVolume(Command, kw_only=True):
    """Set the volume of plays, smoothly.

    Attributes:
        volume_db: 0 is as it is in the file.
        playback_id: of which one; else of all there are.
    """

    volume_db: VolumeDb
    playback_id: Id = ""


class Clear(Command, kw_only=True):
    """Fall silent: cut off all plays, here and at the carrier, and tell what of each was heard."""


class Speak(Command, kw_only=True):
    """Say a text, behind what is queued.

    Attributes:
        payload: the text.
        payload_type: SSML is not spoken.
        voice: of the engine; else its own choice for the language.
        language: BCP 47.
        engine: see docs/talking-back.md.
        overlay, stop, volume_db, target_legs: as of `playback_start`.
        service_level: accepted, and without a meaning here.
    """

    payload: Text
    payload_type: Literal["text"] = "text"
    voice: Name = ""
    language: Name = "en-US"
    engine: Name = "espeak-ng"
    overlay: bool = False
    stop: Literal["current", "all"] | None = None
    volume_db: VolumeDb = 0.0
    target_legs: Literal["self", "opposite", "both"] | None = None
    service_level: Literal["basic", "premium"] | None = None


class SendDtmf(Command, kw_only=True):
    """Press keys, by their tones, behind what is queued.

    Attributes:
        digits: w is a pause of half a second, W of a whole one.
        duration_millis: of each key.
    """

    digits: Annotated[str, Meta(min_length=1, max_length=128, pattern="^[0-9A-D*#wW]+$")]
    duration_millis: Annotated[int, Meta(ge=40, le=5000)] = 250


class Gather(Command, kw_only=True):
    """Wait for digits, whichever way keys come; `gather_ended` tells what was entered.

    Attributes:
        minimum_digits: with less, what was entered is invalid.
        maximum_digits: with so many it is complete.
        valid_digits: any other makes it invalid.
        terminating_digit: completes it, and is no part of it.
        timeout_millis: for all of it, from the end of the prompt on.
        initial_timeout_millis: for the first digit.
        inter_digit_timeout_millis: for each further one.
        gather_id: name in the event; else one is made up.
    """

    minimum_digits: Digits = 1
    maximum_digits: Digits = MAX_DIGITS
    valid_digits: Keys = "0123456789#*"
    terminating_digit: Annotated[str, Meta(max_length=16, pattern="^[0-9A-D*#]*$")] = "#"
    timeout_millis: Millis = 60_000
    initial_timeout_millis: Millis = 5000
    inter_digit_timeout_millis: Millis = 5000
    gather_id: Annotated[str, Meta(max_length=40)] = ""

    def __post_init__(self) -> None:
        """Check what belongs together.

        Raises:
            ValueError: it does not fit.
        """
        if self.minimum_digits > self.maximum_digits:
            raise ValueError(
                f"minimum_digits={self.minimum_digits} is more than maximum_digits={self.maximum_digits}"
            )


class GatherUsingAudio(Gather, kw_only=True):
    """Wait for digits behind an audio file, which the first key interrupts; `gather_ended` tells what was entered.

    Attributes:
        audio_url, media_name: as of `playback_start`, just one of them.
        invalid_audio_url, invalid_media_name: before the prompt is repeated because of what was entered.
        maximum_tries: prompts, with the first.
    """

    audio_url: Url | UnsetType = UNSET
    media_name: MediaName | UnsetType = UNSET
    invalid_audio_url: Url | UnsetType = UNSET
    invalid_media_name: MediaName | UnsetType = UNSET
    maximum_tries: Annotated[int, Meta(ge=1, le=MAX_TRIES)] = 3

    def __post_init__(self) -> None:
        """Check what belongs together.

        Raises:
            ValueError: it does not fit.
        """
        Gather.__post_init__(self)
        if bool(self.audio_url) == bool(self.media_name):
            raise ValueError("give just one of audio_url, media_name")
        if self.invalid_audio_url and self.invalid_media_name:
            raise ValueError("give just one of invalid_audio_url, invalid_media_name")


class GatherUsingSpeak(Gather, kw_only=True):
    """Wait for digits behind a text, which the first key interrupts; `gather_ended` tells what was entered.

    Attributes:
        payload, payload_type, voice, language, engine: as of `speak`.
        invalid_payload: said before the prompt is repeated because of what was entered.
        maximum_tries: prompts, with the first.
        service_level: accepted, and without a meaning here.
    """

    payload: Text
    payload_type: Literal["text"] = "text"
    invalid_payload: Annotated[str, Meta(max_length=MAX_CHARACTERS)] = ""
    voice: Name = ""
    language: Name = "en-US"
    engine: Name = "espeak-ng"
    maximum_tries: Annotated[int, Meta(ge=1, le=MAX_TRIES)] = 3
    service_level: Literal["basic", "premium"] | None = None


class GatherStop(Command, kw_only=True):
    """End the gathering with what there is; `gather_ended` tells it as cancelled."""
