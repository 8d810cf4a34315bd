"""Actions of ``strep call`` that a caller hears: play, speak, stop, pause, resume, volume, clear, dtmf."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from media.cli import Refusal, examples
from media.terminal.errand import PLAYED, Errand, F, acting, given

if TYPE_CHECKING:
    _ParamType = click.ParamType[int | str]
else:
    _ParamType = click.ParamType  # not generic before click 8.3

_STOP = click.option("--stop", type=click.Choice(["current", "all"]), help="Stop what plays, or all, before.")
_OVERLAY = click.option("--overlay", is_flag=True, help="Over what plays, instead of behind it.")
_VOLUME = click.option("--volume", type=click.FloatRange(-40, 40), metavar="DB", help="0 is as it is.")
_PLAYBACK_ID = click.option("--playback-id", default="", metavar="ID", help="Just this play.")


class _Loop(_ParamType):
    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        text = str(value)
        if text == "infinity":
            return text
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 100):
            self.fail(f"{text!r} is not a number from 1 to 100, or infinity", param, ctx)
        return int(text)


def _how(command: F) -> F:
    for option in (_STOP, _OVERLAY, _VOLUME):
        command = option(command)
    return command


@click.command(
    epilog=examples(
        "Queue a file of yours, or one that the server has:",
        "  strep call any play greeting.mp3",
        "  strep call any play --media hold.wav --loop infinity",
        "Over what plays, softly, until it was heard:",
        "  strep call any play https://example.com/bell.wav --overlay --volume -12 --wait",
    )
)
@click.argument("source", required=False, metavar="[FILE|URL]", type=click.Path())
@click.option("--media", default="", metavar="NAME", help="A file that the server has (strep serve --media).")
@click.option("--loop", type=_Loop(), metavar="N", help="How often: 1 to 100, or infinity.")
@_how
@acting(waits=True)
def play(
    errand: Errand, source: str | None, media: str, loop: int | str | None, volume: float | None, overlay: bool,
    stop: str | None, wait: bool,
) -> None:  # fmt: skip
    """Play an audio file: of this machine, - for standard input, or behind a URL, which the server fetches.

    Prints the id of the play.
    """
    if (source is None) == (not media):
        raise Refusal("give a FILE or URL to play, or --media NAME for one that the server has")
    audio = {"media_name": media} if source is None else audio_of(source)
    body = given(loop=loop, overlay=overlay, stop=stop, volume_db=volume)
    _sound(errand, "playback_start", audio | body, wait=wait)


@click.command(
    epilog=examples(
        "Now, instead of all that plays:",
        '  strep call any speak "We close in five minutes." --stop all',
        "In the voice that espeak-ng has for German:",
        '  strep call any speak "Guten Tag." --language de',
    )
)
@click.argument("text")
@click.option("--voice", default="", help="Of the engine.")
@click.option("--language", default="", metavar="TAG", help="As in en-US.")
@click.option("--engine", default="", help="Else espeak-ng.")
@_how
@acting(waits=True)
def speak(
    errand: Errand, text: str, voice: str, language: str, engine: str, volume: float | None, overlay: bool,
    stop: str | None, wait: bool,
) -> None:  # fmt: skip
    """Say a text; prints the id of the play."""
    how = given(voice=voice, language=language, engine=engine, overlay=overlay, stop=stop, volume_db=volume)
    _sound(errand, "speak", {"payload": text} | how, wait=wait)


@click.command(
    epilog=examples(
        "All of it, or what sounds, so that the next begins:",
        "  strep call any stop",
        "  strep call any stop --current",
    )
)
@click.option("--current", is_flag=True, help="What sounds; what is queued behind it begins.")
@click.option("--overlay", is_flag=True, help="Of what lies over the queue.")
@_PLAYBACK_ID
@acting()
def stop(errand: Errand, current: bool, overlay: bool, playback_id: str) -> None:
    """Stop all that plays, or some of it; prints the ids of the plays."""
    which = given(stop="current" if current else None, overlay=overlay, playback_id=playback_id)
    errand.do("playback_stop", which, shows="playback_ids")


@click.command(epilog=examples("  strep call any pause"))
@_PLAYBACK_ID
@acting()
def pause(errand: Errand, playback_id: str) -> None:
    """Let what plays fall silent, and keep its place; prints the ids of the plays."""
    errand.do("playback_pause", given(playback_id=playback_id), shows="playback_ids")


@click.command(epilog=examples("  strep call any resume"))
@_PLAYBACK_ID
@acting()
def resume(errand: Errand, playback_id: str) -> None:
    """Let plays that are paused go on; prints their ids."""
    errand.do("playback_resume", given(playback_id=playback_id), shows="playback_ids")


@click.command(
    epilog=examples("Half as loud; as it is in the file:", "  strep call any volume -6", "  strep call any volume 0"),
    context_settings={"ignore_unknown_options": True},
)
@click.argument("volume_db", metavar="DB", type=click.FloatRange(-40, 40))
@_PLAYBACK_ID
@acting()
def volume(errand: Errand, volume_db: float, playback_id: str) -> None:
    """Set the volume of what plays: -40 to 40 dB, 0 is as it is in the file; prints the ids of the plays."""
    errand.do("playback_volume", {"volume_db": volume_db} | given(playback_id=playback_id), shows="playback_ids")


@click.command(epilog=examples("  strep call any clear"))
@acting()
def clear(errand: Errand) -> None:
    """Be silent at once, here and at the carrier, also of what is queued."""
    errand.do("clear", {})


@click.command(epilog=examples("An extension, a second later:", "  strep call any dtmf W1234# --wait"))
@click.argument("digits")
@click.option("--duration", type=click.IntRange(40, 5000), metavar="MS", help="Of each key.  [default: 250]")
@acting(waits=True)
def dtmf(errand: Errand, digits: str, duration: int | None, wait: bool) -> None:
    """Press keys by their tones: 0-9 * # A-D; w waits for half a second, W for a whole one."""
    _sound(errand, "send_dtmf", {"digits": digits} | given(duration_millis=duration), wait=wait)


ACTIONS = (play, speak, stop, pause, resume, volume, clear, dtmf)


def _sound(errand: Errand, action: str, body: dict[str, Any], *, wait: bool) -> None:
    if wait:
        errand.follow(action, body, PLAYED)
    errand.do(action, body, shows="playback_id")


def audio_of(source: str, read: Callable[[Path], bytes] = Path.read_bytes) -> dict[str, Any]:
    """Return how a file, standard input, or a URL is played.

    Raises:
        Refusal: there is no such file, or too much of it.
    """
    from media.control.commands import MAX_CONTENT_BYTES

    if source.startswith(("http://", "https://")):
        return {"audio_url": source}
    try:
        if source != "-" and Path(source).stat().st_size > MAX_CONTENT_BYTES:
            raise Refusal(_too_large(source, MAX_CONTENT_BYTES))
        content = sys.stdin.buffer.read(MAX_CONTENT_BYTES + 1) if source == "-" else read(Path(source))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Refusal(f"{source}: {reason}; for a file of the server there is --media NAME") from error
    if len(content) > MAX_CONTENT_BYTES:
        raise Refusal(_too_large(source, MAX_CONTENT_BYTES))
    if not content:
        raise Refusal(f"{source}: is empty")
    return {"playback_content": base64.b64encode(content).decode()}


def _too_large(source: str, most_bytes: int) -> str:
    return (
        f"{source}: more than {most_bytes >> 20} MiB; make an MP3 of it (ffmpeg -i {source} -ac 1 -b:a 48k out.mp3), "
        "or have the server read it: a URL, or --media NAME"
    )
