"""The options of `strep serve` that have calls transcribed."""

from __future__ import annotations

from media import formats
from media.formats import Format
from media.option import Option

TRANSCRIBING = "Transcription"


def _parse_engine(text: str) -> str:
    from media.transcribing.plugins import parse_choice

    parse_choice(text)
    return text.strip()


TRANSCRIBING_OPTIONS = (
    Option(
        "transcribe",
        TRANSCRIBING,
        Format("ENGINE[:KEY=VALUE,...]", _parse_engine),
        "pocketsphinx:grammar=digits",
        "Transcribe all calls: pocketsphinx (offline; needs strep[transcribe]), vosk, faster-whisper, websocket, or "
        "an installed engine (entry point of group strep.transcribers). Text goes into events, and into "
        "CALL.transcript.jsonl and CALL.vtt beside the recording. See docs/listening.md.",
    ),
    Option(
        "transcribe_engine",
        TRANSCRIBING,
        Format("ENGINE:KEY=VALUE,...", _parse_engine),
        "vosk:model=/models/de",
        "Options of an engine that actions may start (transcription_start), which they cannot set: paths, addresses, "
        "keys. Repeatable.",
        field="transcribe_engines",
        repeatable=True,
    ),
    Option(
        "transcribe_tracks", TRANSCRIBING, formats.choice("inbound", "outbound", "both"), "inbound", "Which sides."
    ),
    Option(
        "transcribe_workers",
        TRANSCRIBING,
        formats.whole_number(1, 256),
        "4",
        "Processes of each engine, of lower priority than the server; each hears several calls.",
    ),
    Option(
        "transcribe_backlog",
        TRANSCRIBING,
        formats.seconds(1, 600),
        "60s",
        "Speech of one track that may wait for its engine; what is over that is dropped, and the transcript says so.",
        field="transcribe_backlog_s",
    ),
    Option(
        "transcribe_timeout",
        TRANSCRIBING,
        formats.seconds(1, 600),
        "30s",
        "An engine that says nothing for so long, though it has something to say, is killed and replaced.",
        field="transcribe_timeout_s",
    ),
)
