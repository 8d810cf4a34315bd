"""The flags of ``strep simulate`` that concern a media stream and the audio that comes back over it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from media.carrier import parameters
from media.carrier.dialects import DIALECTS
from media.carrier.options import (
    ErrorShape,
    PlaybackManners,
    PlaybackMode,
    TargetLegs,
    TimestampUnit,
    WebSocketOptions,
)
from media.codecs import Encoding
from media.codecs.encoding import NAMES
from strep.errors import ConfigurationError

_USUAL_RATES_HZ = {"G722": 16_000, "L16": 16_000, "OPUS": 48_000}
_Command = TypeVar("_Command", bound=Callable[..., Any])
_Decorator = Callable[[_Command], _Command]


def _choice(
    flag: str, values: Iterable[str], text: str, default: str | None = None
) -> Callable[[_Command], _Command]:
    kind = click.Choice([str(value) for value in values])
    return click.option(flag, type=kind, default=default, show_default=default is not None, help=text)


_FLAGS = (
    _choice("--dialect", DIALECTS, "Whose media stream, over WebSocket.", default="telnyx"),
    click.option("--ws-token", default="", help="Auth token, where the dialect has it: header, connected frame."),
    _choice(
        "--ws-track",
        ("inbound", "outbound", "both"),
        "Tracks to stream. Default: both for telnyx and tryvox, else inbound.",
    ),
    click.option("--ws-drop", type=parameters.SECONDS, help="Break the socket at this time, and dial again."),
    click.option("--ws-drop-forgets", is_flag=True, help="What is queued then is not played."),
    click.option("--ws-numbers", is_flag=True, help="Counters as JSON numbers, not strings."),
    click.option("--ws-shared-chunks", is_flag=True, help="One chunk counter for both tracks."),
    _choice("--ws-timestamp", TimestampUnit, "Unit of timestamp.", default="ms"),
    click.option("--ws-mime", is_flag=True, help="Spell the encoding audio/x-mulaw."),
    click.option("--ws-big-endian", is_flag=True, help="L16 in network byte order, both ways."),
    click.option("--ws-oddities", is_flag=True, help="Errors, marks, unknown events and fields in between."),
    click.option("--ws-no-stop", is_flag=True, help="Close the socket without a stop frame."),
    _choice(
        "--playback",
        PlaybackMode,
        "What is taken for the caller. Default: mp3 for telnyx, as there; else rtp, the codec's bytes.",
    ),
    click.option(
        "--playback-codec",
        type=click.Choice(NAMES, case_sensitive=False),
        help="Of the bytes. Default: the codec that is streamed; for telnyx PCMU, as there.",
    ),
    click.option("--playback-rate", type=click.IntRange(1), metavar="HZ", help="Of that codec."),
    click.option("--mp3-ignores-tag", is_flag=True, help="Play what the LAME tag says is padding."),
    click.option("--mp3-ignores-raw", is_flag=True, help="Drop what is no MP3 without error 100004."),
    click.option(
        "--error-rate", type=parameters.SHARE, default=0.0, help="Share of the audio refused for no reason."
    ),
    _choice("--error-shape", ErrorShape, "Of error frames.", default="present"),
    _choice("--target-legs", TargetLegs, "Who hears it; told in the JSON.", default="opposite"),
)


def stream_flags(command: _Command) -> _Command:
    """Give `command` the flags of this file."""
    for flag in reversed(_FLAGS):
        command = flag(command)
    return command


def encoding(name: str, sample_rate_hz: int | None, *, big_endian: bool) -> Encoding:
    """Return a codec at a rate, the usual one by default.

    Raises:
        ConfigurationError: it does not have that rate.
    """
    name = name.upper()
    try:
        return Encoding(name, sample_rate_hz or _USUAL_RATES_HZ.get(name, 8000), big_endian)
    except ValueError as error:
        raise ConfigurationError(f"codec: {error}") from error


def stream_options(given: dict[str, Any]) -> WebSocketOptions:
    """Return what the flags say.

    Raises:
        ConfigurationError: they contradict each other, or the dialect.
    """
    track = given["ws_track"]
    tracks = ("inbound", "outbound") if track == "both" else (track,) if track else None
    return WebSocketOptions(
        dialect=given["dialect"],
        tracks=tracks,
        numbers_as_strings=not given["ws_numbers"],
        shared_chunks=given["ws_shared_chunks"],
        timestamp_unit=TimestampUnit(given["ws_timestamp"]),
        mime_encoding=given["ws_mime"],
        auth_token=given["ws_token"],
        oddities=given["ws_oddities"],
        drop_at_ns=given["ws_drop"],
        stop_frame=not given["ws_no_stop"],
        playback_mode=PlaybackMode(given["playback"]) if given["playback"] else None,
        playback_encoding=_playback_encoding(given),
        target_legs=TargetLegs(given["target_legs"]),
        manners=PlaybackManners(
            honours_tag=not given["mp3_ignores_tag"],
            ignores_raw=given["mp3_ignores_raw"],
            error_rate=given["error_rate"],
            error_shape=ErrorShape(given["error_shape"]),
            keeps_playing=not given["ws_drop_forgets"],
        ),
    )


def _playback_encoding(given: dict[str, Any]) -> Encoding:
    name, rate_hz = given["playback_codec"], given["playback_rate"]
    if name is None:
        name = "PCMU" if given["dialect"] == "telnyx" else given["codec"]
        rate_hz = rate_hz or (None if given["dialect"] == "telnyx" else given["codec_rate"])
    return encoding(name, rate_hz, big_endian=given["ws_big_endian"])
