"""What the page's routes answer, as types, for `media.http.openapi`."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Abilities(msgspec.Struct):
    """What a server has to show.

    Attributes:
        version: of strep.
        recordings: whether recordings are.
    """

    version: str
    recordings: bool


class ListedTrack(msgspec.Struct):
    """A direction of a recording.

    Attributes:
        direction: inbound is what the carrier received.
        codec: how the carrier sent it.
        totals: samples of each kind of the ledger.
    """

    direction: str
    codec: str | None = None
    totals: dict[str, int] = {}


class ListedRecording(msgspec.Struct, omit_defaults=True):
    """A recording, as its sidecar describes it.

    Attributes:
        name: in the paths of its parts.
        state: of its sidecar; unreadable if that is none, and nothing else is said then.
        call_id, door, identity, started_at, reason, error, note: of the call.
        file, format, sample_rate_hz, length_samples, channels, take: of the audio.
        tracks: inbound first.
        is_sealed: only who has a private key can hear it.
        is_playable: its audio is there.
    """

    name: str
    state: Literal["recording", "complete", "failed", "unreadable"]
    call_id: str = ""
    door: str = ""
    identity: dict[str, Any] = {}
    started_at: str = ""
    reason: str | None = None
    error: str | None = None
    note: str = ""
    file: str | None = None
    format: str | None = None
    sample_rate_hz: int = 0
    length_samples: int = 0
    channels: int = 2
    take: dict[str, Any] | None = None
    tracks: list[ListedTrack] = []
    is_sealed: bool = False
    is_playable: bool = False


class ListedRecordings(msgspec.Struct):
    """Some of the recordings.

    Attributes:
        total: so many there are.
        recordings: the newest first.
    """

    total: int
    recordings: list[ListedRecording]


class Loudness(msgspec.Struct):
    """A channel of a waveform; half decibels below full scale, 255 is silence.

    Attributes:
        peak: of the largest sample of each piece.
        rms: of its mean power.
    """

    peak: list[int]
    rms: list[int]


class Waveform(msgspec.Struct):
    """The waveform of a recording.

    Attributes:
        sample_rate_hz: of the audio.
        length_samples: of each channel.
        bucket_samples: of each piece; the last one may be shorter.
        channels: inbound first.
    """

    sample_rate_hz: int
    length_samples: int
    bucket_samples: int
    channels: list[Loudness]
