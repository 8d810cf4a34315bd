"""The options of `strep serve` that say what becomes of recordings."""

from __future__ import annotations

from media import formats
from media.delivery.keys import FIELDS, check_template
from media.delivery.urls import check_url
from media.formats import Format
from media.option import Option

DELIVERING = "Delivering recordings"

DELIVERY_OPTIONS = (
    Option(
        "deliver_format",
        DELIVERING,
        formats.choices("wav", "flac", "mp3", "opus"),
        "flac",
        "What a recording is made into when it is closed; several with commas. FLAC is the WAV bit for bit, half "
        "as large; MP3 and Opus lose what few can hear. Without wav, the WAV is removed when the others are there.",
    ),
    Option(
        "deliver_to",
        DELIVERING,
        Format("URL", check_url, is_secret=True),
        "s3://bucket/calls",
        "Copy recordings and their JSON there when they are closed, and check that they arrived: a directory, or "
        "s3://BUCKET/PREFIX (extra store), server and keys from the environment, as boto has it: "
        "AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ... While that cannot be reached they stay here and are tried again.",
    ),
    Option(
        "deliver_key",
        DELIVERING,
        Format("TEMPLATE", check_template),
        "{year}/{month}/{day}/{call_id}",
        f"Their names there, of {', '.join(f'{{{name}}}' for name in FIELDS)}. A taken one gets a number.",
    ),
    Option(
        "deliver_keep_local",
        DELIVERING,
        formats.choice("on", "off"),
        "off",
        "Keep recordings here that are there; off removes them when that has been checked.",
    ),
    Option(
        "deliver_at_once",
        DELIVERING,
        formats.whole_number(1, 64),
        "4",
        "Recordings converted and sent at a time, in a process of the lowest priority.",
    ),
)
