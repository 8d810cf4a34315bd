"""Telnyx ("Streaming start"): frames without a stream's id, MP3 files or raw payloads.

The other direction's frames are those of `media.ws.messages`. The ``start`` frame does not say which of the two
playback modes the stream was asked for (``stream_bidirectional_mode``, mp3 unless asked otherwise).
"""

from __future__ import annotations

from media.ws.dialects.dialect import Dialect, Parser, Playback, TextParser, base64_text, json_text
from media.ws.messages import parse, serialize

_PARSER = TextParser(parse)


def _parser(stream_id: str, track: str) -> Parser:
    return _PARSER


def _media(stream_id: str, payload: bytes) -> str:
    return f'{{"event":"media","media":{{"payload":"{base64_text(payload)}"}}}}'


def _mark(stream_id: str, name: str) -> str:
    return json_text({"event": "mark", "mark": {"name": name}})


def _clear(stream_id: str) -> str:
    return '{"event":"clear"}'


TELNYX = Dialect("telnyx", Playback.MP3_OR_RTP, _parser, serialize, media=_media, mark=_mark, clear=_clear)
