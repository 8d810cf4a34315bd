"""The options of `strep serve` for NATS, and how their values are written."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from media import formats
from media.feed.selection import Selection
from media.formats import Format
from media.nats.config import NatsConfig
from media.option import Option

SECTION = "NATS"
_TOKEN = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", re.ASCII)
_STREAM = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)


def parse_urls(text: str) -> tuple[str, ...]:
    """Return ``nats://HOST[:PORT]`` or ``tls://...``, with ``USER:PASSWORD@`` or not; several with commas between.

    Raises:
        ValueError: it is something else; a password is not in the text.
    """
    urls = tuple(part.strip() for part in text.split(","))
    for url in urls:
        try:
            parts = urlsplit(url)
            is_one = parts.scheme in ("nats", "tls") and parts.hostname and parts.port != 0 and not parts.path
        except ValueError:
            is_one = False
        if not is_one:
            raise ValueError("is not nats://HOST:PORT or tls://HOST:PORT, or several with commas between")
    return urls


def _matching(pattern: re.Pattern[str], metavar: str, what: str) -> Format:
    def parse(text: str) -> str:
        if not pattern.fullmatch(text.strip()):
            raise ValueError(f"is not {what}")
        return text.strip()

    return Format(metavar, parse)


def _option(name: str, form: Format, example: str, text: str, field: str = "") -> Option:
    key = f"nats_{name}" if name else "nats"
    return Option(key, SECTION, form, example, text, field=field or name, owner=NatsConfig)


_URLS = Format("URL", parse_urls, ",".join, is_secret=True)
_SELECTION: Format = Format("SELECTION", Selection.parse, Selection.describe)
_FILE = Format("FILE", formats.DIRECTORY.parse)

NATS_OPTIONS: tuple[Option, ...] = (
    _option(
        "",
        _URLS,
        "nats://127.0.0.1:4222",
        "Publish audio and events of calls on NATS JetStream: nats://[USER:PASSWORD@]HOST[:PORT], tls:// for TLS; "
        "several servers of a cluster with commas between. A password is better in STREP_NATS than on a command "
        "line. Needs the extra nats.",
        "urls",
    ),
    _option("credentials", _FILE, "strep.creds", "File with a user's JWT and key, as `nsc` writes it."),
    _option(
        "required",
        formats.choice("off", "on"),
        "on",
        "Do not start when no server answers or its stream does not fit; else calls go on and all waits.",
    ),
    _option(
        "select",
        _SELECTION,
        "rate=16000&format=int16&track=inbound",
        "What to publish: calls=PATTERN, track=both|inbound|outbound, rate=native|8000|16000|24000, "
        "format=int16|float32|mulaw, joined by &.",
    ),
    _option("message", formats.whole_milliseconds(20, 1000), "100ms", "Audio in a message, about.", "message_ms"),
    _option("prefix", _matching(_TOKEN, "TOKEN", "tokens of a subject"), "lab", "What all subjects begin with."),
    _option(
        "partitions",
        formats.whole_number(1, 10_000),
        "64",
        "Parts that calls are divided into by their subjects, PREFIX.pcm.PARTITION.CALL.TRACK: a consumer each, and "
        "every call stays with one. The same in all processes.",
    ),
    _option(
        "stream",
        _matching(_STREAM, "NAME", "letters, digits, _ and -"),
        "CALLS",
        "The stream; it is created if it is not there, and must fit if it is.",
    ),
    _option("max_age", formats.seconds(1, 366 * 86_400), "1h", "How long the stream keeps a message.", "max_age_s"),
    _option(
        "max_bytes",
        formats.size_bytes(1 << 20, 1 << 50),
        "10GiB",
        "How much the stream keeps; beyond it the oldest messages go.",
    ),
    _option("replicas", formats.whole_number(1, 5), "3", "Servers of the cluster that keep every message."),
    _option(
        "memory",
        formats.size_bytes(1 << 16, 1 << 40),
        "64MiB",
        "How much may wait in memory for the server.",
        "memory_bytes",
    ),
    _option("spool", formats.DIRECTORY, "spool", "Where what waits is kept on disk, for this process or the next."),
    _option(
        "spool_size",
        formats.size_bytes(1 << 20, 1 << 50),
        "10GiB",
        "How much may wait there, of each worker; what finds no room is not published, and told as publish_gap.",
        "spool_bytes",
    ),
)
