"""The options of `strep serve` for webhooks, and how their values are written."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from media import formats
from media.formats import Format
from media.option import Option

SECTION = "Webhooks"
_EVENT_TYPE = re.compile(r"[a-z0-9_.*]{1,100}")


def parse_url(text: str) -> str:
    """Return an ``http://`` or ``https://`` URL.

    Raises:
        ValueError: it is something else.
    """
    url = text.strip()
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # a port or an IPv6 address that cannot be
        is_one = False
    if not is_one or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("is not http://HOST/... or https://HOST/...")
    return url


def parse_event_types(text: str) -> tuple[str, ...]:
    """Return names of event types with commas between, ``*`` for any characters.

    Raises:
        ValueError: it is something else.
    """
    names = tuple(part.strip() for part in text.split(","))
    if not all(_EVENT_TYPE.fullmatch(name) for name in names):
        raise ValueError("is not some of call.dtmf.received, call.*, ... with commas between")
    return names


WEBHOOK_OPTIONS = (
    Option(
        "webhook",
        SECTION,
        Format("URL", parse_url, is_secret=True),
        "https://app.example.com/events",
        "Post events to this URL, in Telnyx's words; what it does not take is sent again. Repeatable.",
        field="webhooks",
        repeatable=True,
    ),
    Option(
        "webhook_key",
        SECTION,
        formats.FILE,
        "webhook.pem",
        "Sign with the Ed25519 private key in this file; `strep keys FILE` makes one and shows the public key.",
    ),
    Option(
        "webhook_events",
        SECTION,
        Format("TYPE,...", parse_event_types, ",".join),
        "call.dtmf.received,streaming.*",
        "Types of events that are posted, with commas between; strep.* are those that Telnyx has no name for.",
    ),
    Option(
        "webhook_spool",
        SECTION,
        formats.DIRECTORY,
        "webhooks",
        "Keep events here until they are taken, so that none is lost when this program ends or is killed.",
    ),
    Option(
        "webhook_backlog",
        SECTION,
        formats.size_bytes(1 << 16, 1 << 40),
        "1GiB",
        "What may wait for receivers, on disk (4 KiB each at least) or in memory; beyond it the oldest are dropped.",
        field="webhook_backlog_bytes",
    ),
    Option(
        "webhook_max_age",
        SECTION,
        formats.seconds(1, 30 * 86_400),
        "2h",
        "Give up an event that was not taken after so long.",
        field="webhook_max_age_s",
    ),
    Option(
        "webhook_max_tries",
        SECTION,
        formats.whole_number(1, 1_000_000),
        "10",
        "Give up an event after so many wrong answers; those of its call wait behind it so long.",
    ),
)
