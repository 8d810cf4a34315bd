"""Names in a store: a template with checked fields, ``{date}/{name}``.

Some of what is put in came from outside, so none of it may have a say in where a file goes: in a field's value
everything but letters, digits and ``. _ -`` becomes ``_``, no value is empty, ``.`` or ``..``, and none is longer
than `MAX_FIELD`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from string import Formatter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from media.delivery.jobs import Job

DEFAULT = "{date}/{name}"
MAX_FIELD = 120
MAX_KEY = 900
"""Bytes; S3 allows 1024 with prefix and ending."""
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_PART = re.compile(r"[A-Za-z0-9._=+-]+")


def _started(pattern: str) -> Callable[[Job], str]:
    return lambda job: datetime.fromtimestamp(job.started_wall_ns // 1_000_000_000, UTC).strftime(pattern)


FIELDS: dict[str, tuple[str, Callable[[Job], str]]] = {
    "date": ("day the recording began, UTC, 2026-01-31", _started("%Y-%m-%d")),
    "year": ("the same, 2026", _started("%Y")),
    "month": ("01", _started("%m")),
    "day": ("31", _started("%d")),
    "hour": ("23", _started("%H")),
    "name": ("name of the file in the recording directory, without ending", lambda job: job.name),
    "call_id": ("id of the call", lambda job: job.call.call_id),
    "recording_id": ("UUID of the recording", lambda job: job.recording_id),
    "door": ("strep, rtp or ws", lambda job: job.call.door),
}
"""What may stand in braces: what it is, and how it is found."""
TELLING = ("name", "call_id", "recording_id")
"""Fields of which one must be there: else all recordings of a day or an hour would want the same name."""


def check_template(template: str) -> str:
    """Return the template.

    Raises:
        ValueError: it cannot be used; the text completes "'...' ".
    """
    try:
        pieces = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"is no template: {error}") from None
    fields = [field for _, field, _, _ in pieces if field is not None]
    for _, field, spec, conversion in pieces:
        if field is not None and (field not in FIELDS or spec or conversion):
            shown = field + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            raise ValueError(f"has {{{shown}}}; there are {', '.join(f'{{{name}}}' for name in FIELDS)}")
    if not set(fields) & set(TELLING):
        raise ValueError(f"names all recordings alike; put {' or '.join(f'{{{name}}}' for name in TELLING)} in")
    parts = "".join(text + ("x" if field is not None else "") for text, field, _, _ in pieces).split("/")
    for part in parts:
        if not _PART.fullmatch(part) or part in (".", ".."):
            raise ValueError(f"has {part!r} between slashes; letters, digits and . _ - = + are allowed, not . or ..")
    return template


def key_of(template: str, job: Job) -> str:
    """Return the name of a recording in a store, without ending, by a checked template."""
    values = {name: safe(find(job)) for name, (_, find) in FIELDS.items() if f"{{{name}}}" in template}
    key = template.format(**values)
    parts = [f"_{part}" if part in (".", "..") else part for part in key.split("/")]
    return "/".join(parts)[:MAX_KEY]


def safe(value: str) -> str:
    """Return a value as it may stand in a path."""
    value = _UNSAFE.sub("_", value)[:MAX_FIELD]
    return f"_{value}" if value.strip(".") == "" else value
