"""Options of recordings; see `media.options`."""

from __future__ import annotations

from media import formats
from media.option import Option

RECORDING = "Recording"

RECORDING_OPTIONS = (
    Option("record", RECORDING, formats.DIRECTORY, "recordings", "Write a stereo WAV and a JSON of every call here."),
    Option(
        "record_format",
        RECORDING,
        formats.choice("pcm16", "passthrough"),
        "passthrough",
        "16-bit linear PCM, or the carrier's own bytes at half the size.",
    ),
    Option(
        "sync",
        RECORDING,
        formats.seconds(0, 60),
        "250ms",
        "Put everything written - recordings, spools - on the disk so often, against lost power: one system call per "
        "file system, beside the media path. 0 leaves it to the kernel, which takes half a minute. Linux only.",
        field="sync_s",
    ),
    Option(
        "takes",
        RECORDING,
        formats.DIRECTORY,
        "takes",
        "Write recordings that applications start during calls here; beside those of --record unless given.",
    ),
    Option(
        "record_played",
        RECORDING,
        formats.choice("on", "off"),
        "off",
        "Record what is played into a call on the right channel, where the caller heard it, unless the carrier sends "
        "that side itself.",
    ),
    Option(
        "look_back",
        RECORDING,
        formats.seconds(0, 300),
        "10s",
        "Keep so much of all calls in memory, 16 KB a second and call, for recordings that begin before now.",
        field="look_back_s",
    ),
)
