"""Actions of ``strep call`` that listen: gather, record, transcribe, denoise; and hangup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from media.cli import FAILED, OK, HintingGroup, Refusal, examples
from media.events.kinds import WITHHELD
from media.terminal.errand import CALL_ENDED, OTHERWISE, Ending, Errand, acting, given

_TRACK = click.option("--track", type=click.Choice(["inbound", "outbound", "both"]), help="Whose voice.")
_BY = (
    click.option("--by", default="", help="Who wants it; the sidecar and the event have it."),
    click.option("--reason", default="", help="Why; the same."),
)


def how_gather_ended(event: dict[str, Any]) -> int | None:
    """Return the exit code of the end of a gathering; digits that are kept from us are not what was asked for."""
    if event.get("status") == "call_hangup":
        return CALL_ENDED
    return OK if event.get("status") == "valid" and WITHHELD not in event.get("digits", "") else OTHERWISE


def _gather_remark(event: dict[str, Any]) -> str:
    if event.get("status") != "valid":
        entered = f", {event['digits']!r} entered" if event.get("digits") else ""
        return f"{event.get('status', 'over')}: {event.get('reason', '')}{entered}"
    return "entered while recording was paused: the digits are kept from others" if how_gather_ended(event) else ""


def how_recording_ended(event: dict[str, Any]) -> int | None:
    """Return the exit code of what happened to a recording; None if it goes on."""
    if event["event"] == "recording_failed":
        return None if event.get("will_retry") else FAILED
    return OK


def _file_of(event: dict[str, Any]) -> str:
    return str(event.get("path") or next((file.get("url", "") for file in event.get("files", ())), ""))


def _recording_remark(event: dict[str, Any]) -> str:
    if event["event"] == "recording_failed":
        return str(event.get("error", "failed"))
    return f"{event.get('duration_ms', 0) / 1000:.1f} s, {event.get('size_bytes', 0):,} bytes"


GATHERED = Ending(
    ("gather_ended",), "gather_id", how_gather_ended, "gather_stop", lambda event: str(event.get("digits", "")),
    _gather_remark,
    stops_by_key=False,
)  # fmt: skip
RECORDED = Ending(
    ("recording_saved", "recording_failed"), "recording_id", how_recording_ended, "record_stop", _file_of,
    _recording_remark, outlives_call=True,
)  # fmt: skip
HUNG_UP = Ending(
    ("call_ended",), "", lambda _: OK, "", lambda _: "", lambda event: f"ended: {event.get('reason', '')}"
)


@click.command(
    epilog=examples(
        "Four digits, or whatever comes before the hash key:",
        '  strep call any gather --max 4 --prompt "Your PIN, please."',
        "Yes or no, asked twice at most, by a file that the server has:",
        "  strep call any gather --max 1 --valid 12 --media question.wav --tries 2",
    )
)
@click.option("--min", "minimum", type=click.IntRange(1, 128), metavar="N", help="Fewer are not valid.")
@click.option("--max", "maximum", type=click.IntRange(1, 128), metavar="N", help="With so many it is complete.")
@click.option("--prompt", default="", metavar="TEXT|URL", help="Said or played before; the first key interrupts it.")
@click.option("--media", default="", metavar="NAME", help="The same: a file that the server has.")
@click.option("--invalid", default="", metavar="TEXT|URL", help="Said or played before the prompt comes again.")
@click.option("--tries", type=click.IntRange(1, 128), metavar="N", help="Prompts, with the first.")
@click.option("--valid", default="", metavar="KEYS", help="Any other key makes it invalid.")
@click.option("--end", default=None, metavar="KEY", help='Completes it, and is no part of it; "" for none.')
@click.option("--timeout", type=click.FloatRange(0.001), metavar="S", help="For all of it, behind the prompt.")
@click.option("--first-timeout", type=click.FloatRange(0.001), metavar="S", help="For the first key.")
@click.option("--next-timeout", type=click.FloatRange(0.001), metavar="S", help="For each further key.")
@acting()
def gather(
    errand: Errand, minimum: int | None, maximum: int | None, prompt: str, media: str, invalid: str,
    tries: int | None, valid: str, end: str | None, timeout: float | None, first_timeout: float | None,
    next_timeout: float | None,
) -> None:  # fmt: skip
    """Wait for digits, after a prompt if you like, and print them.

    Whichever way keys come; with tones, the server needs --detect dtmf.
    """
    body = given(
        minimum_digits=minimum, maximum_digits=maximum, valid_digits=valid, timeout_millis=_millis(timeout),
        initial_timeout_millis=_millis(first_timeout), inter_digit_timeout_millis=_millis(next_timeout),
    )  # fmt: skip
    if end is not None:
        body["terminating_digit"] = end
    action, prompting = prompting_of(prompt, media, invalid, tries)
    errand.follow(action, body | prompting, GATHERED)


def prompting_of(prompt: str, media: str, invalid: str, tries: int | None) -> tuple[str, dict[str, Any]]:
    """Return the action that gathers behind such a prompt, and its fields.

    Raises:
        Refusal: they do not fit.
    """
    if prompt and media:
        raise Refusal("give --prompt or --media, not both")
    if not prompt and not media:
        if invalid or tries:
            raise Refusal("--invalid and --tries are of a prompt; give --prompt TEXT or URL, or --media NAME")
        return "gather", {}
    is_text = not media and not _is_url(prompt)
    if is_text and Path(prompt).suffix and Path(prompt).is_file():
        raise Refusal(f"--prompt {prompt}: a file must be where the server finds it: --media NAME, or a URL")
    if invalid and is_text == _is_url(invalid):
        raise Refusal("--invalid is said if the prompt is, and a URL if that is played")
    if is_text:
        return "gather_using_speak", {"payload": prompt} | given(invalid_payload=invalid, maximum_tries=tries)
    audio = {"media_name": media} if media else {"audio_url": prompt}
    return "gather_using_audio", audio | given(invalid_audio_url=invalid, maximum_tries=tries)


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def _millis(seconds: float | None) -> int | None:
    return None if seconds is None else max(round(seconds * 1000), 1)


_RECORD = examples(
    "The caller's answer, until he is silent for two seconds; then where it is:",
    "  strep call any record start --track inbound --silence 2 --name answer --wait",
    "Until it is stopped:",
    "  strep call any record start --format mp3",
    "  strep call any record stop",
    "Keep a card number out of everything that is written:",
    '  strep call any record pause --omit --by agent7 --reason "card number"',
    "  strep call any record resume --by agent7",
)
_TRANSCRIBE = examples(
    "  strep call any transcribe start --track inbound",
    "  strep tail --plain --events transcription",
    "  strep call any transcribe stop",
)
_DENOISE = examples("  strep call any denoise start", "  strep call any denoise stop --track both")


@click.group(cls=HintingGroup, epilog=_RECORD)
def record() -> None:
    """Start and stop recordings of their own; pause and resume all that is kept of the call."""


@record.command("start", epilog=_RECORD)
@click.option("--format", "form", type=click.Choice(["wav", "mp3", "flac", "opus"]), help="Else the server's.")
@click.option("--channels", type=click.Choice(["dual", "single"]), help="Inbound left and outbound right, or mixed.")
@_TRACK
@click.option("--beep", is_flag=True, help="Let the caller hear that it begins.")
@click.option("--max", "maximum", type=click.FloatRange(0), metavar="S", help="It ends after so many seconds.")
@click.option("--silence", type=click.FloatRange(0), metavar="S", help="It ends when nothing was heard for so long.")
@click.option("--trim", is_flag=True, help="Cut silence off its ends.")
@click.option("--name", default="", help="Its file is CALL.NAME.wav.  [default: take]")
@click.option("--look-back", type=click.FloatRange(0), metavar="S", help="Let it begin so long ago.")
@acting(waits=True)
def record_start(
    errand: Errand, form: str | None, channels: str | None, track: str | None, beep: bool, maximum: float | None,
    silence: float | None, trim: bool, name: str, look_back: float | None, wait: bool,
) -> None:  # fmt: skip
    """Begin a recording; prints its id, or with --wait the path of its file when that is closed."""
    body = given(
        format=form, channels=channels, recording_track=track, play_beep=beep, max_length=maximum,
        timeout_secs=silence, trim="trim-silence" if trim else None, custom_file_name=name, look_back_secs=look_back,
    )  # fmt: skip
    if wait:
        errand.follow("record_start", body, RECORDED)
    errand.do("record_start", body, shows="recording_id")


@record.command("stop", epilog=_RECORD)
@click.option("--recording-id", default="", metavar="ID", help="Just this one.")
@acting()
def record_stop(errand: Errand, recording_id: str) -> None:
    """End recordings that were started here; prints their ids."""
    errand.do("record_stop", given(recording_id=recording_id), shows="recording_ids")


@record.command("pause", epilog=_RECORD)
@click.option("--omit", is_flag=True, help="Cut the time out of files, instead of keeping silence.")
@_BY[1]
@_BY[0]
@acting()
def record_pause(errand: Errand, omit: bool, by: str, reason: str) -> None:
    """Keep nothing from now on, in no recording and no other sink that keeps or passes on."""
    errand.do("record_pause", given(mode="omit" if omit else None, by=by, reason=reason))


@record.command("resume", epilog=_RECORD)
@_BY[1]
@_BY[0]
@acting()
def record_resume(errand: Errand, by: str, reason: str) -> None:
    """Keep what comes from now on."""
    errand.do("record_resume", given(by=by, reason=reason))


@click.group(cls=HintingGroup, epilog=_TRANSCRIBE)
def transcribe() -> None:
    """Start and stop writing down what is said."""


@transcribe.command("start", epilog=_TRANSCRIBE)
@click.option("--engine", default="", help="Else pocketsphinx.")
@click.option("--language", default="", metavar="TAG", help="As in en-US.")
@click.option("--interim", is_flag=True, help="Tell also what may change.")
@_TRACK
@acting()
def transcribe_start(errand: Errand, engine: str, language: str, interim: bool, track: str | None) -> None:
    """Transcribe from now on; `strep tail --plain --events transcription` shows what is said."""
    config = given(language=language, interim_results=interim)
    body = given(transcription_engine=engine, transcription_tracks=track, transcription_engine_config=config or None)
    errand.do("transcription_start", body)


@transcribe.command("stop", epilog=_TRANSCRIBE)
@acting()
def transcribe_stop(errand: Errand) -> None:
    """Transcribe no more; what was said before is still told."""
    errand.do("transcription_stop", {})


@click.group(cls=HintingGroup, epilog=_DENOISE)
def denoise() -> None:
    """Start and stop suppressing noise, where `strep serve --denoise` put it."""


@denoise.command("start", epilog=_DENOISE)
@_TRACK
@acting()
def denoise_start(errand: Errand, track: str | None) -> None:
    """Suppress noise from the next block on; inbound, if no track is named."""
    errand.do("suppression_start", given(direction=track))


@denoise.command("stop", epilog=_DENOISE)
@_TRACK
@acting()
def denoise_stop(errand: Errand, track: str | None) -> None:
    """Cease to suppress noise, of both tracks if none is named."""
    errand.do("suppression_stop", given(direction=track))


@click.command(
    epilog=examples(
        "At once; when what plays was heard:",
        "  strep call any hangup",
        '  strep call any speak "Goodbye." --wait && strep call any hangup',
    )
)
@acting(waits=True)
def hangup(errand: Errand, wait: bool) -> None:
    """End the call, and close the sockets of its stream."""
    if wait:
        errand.follow("hangup", {}, HUNG_UP)
    errand.do("hangup", {})


ACTIONS = (gather, record, transcribe, denoise, hangup)
