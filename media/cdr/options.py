"""The options of `strep serve` for call records, and how their values are written."""

from __future__ import annotations

from pathlib import Path

from media.cdr.database import check_url
from media.cdr.file import DATE
from media.formats import Format
from media.option import Option

SECTION = "Observing"


def parse_file(text: str) -> Path:
    """Return a path; ``{date}`` may be in the name of the file.

    Raises:
        ValueError: it is none.
    """
    path = Path(text.strip())
    if not text.strip() or path.name in ("", "..") or "\0" in text:
        raise ValueError("is not a file")
    rest = path.name.replace(DATE, "")
    if "{" in rest or "}" in rest or DATE in str(path.parent):
        raise ValueError(f"has braces for something else than {DATE} in the file's name")
    return path


def parse_database(text: str) -> str:
    """Return the URL of a database.

    Raises:
        ValueError: it is none that we can use; a password is not in the text.
    """
    check_url(text.strip())
    return text.strip()


CDR_OPTIONS = (
    Option(
        "cdr",
        SECTION,
        Format("FILE", parse_file),
        "cdr-{date}.jsonl",
        "Append a line of JSON for each call that has ended: who, when, how long, packets, loss, jitter, recordings; "
        "no digits and no audio. {date} in the name begins a file each day; it may be moved away at any time.",
    ),
    Option(
        "cdr_database",
        SECTION,
        Format("URL", parse_database, is_secret=True),
        "postgresql+psycopg://strep@db.example.com/calls",
        "Insert the same into a table, strep_calls, of PostgreSQL, or of SQLite (sqlite:///calls.db). Needs the "
        "extra cdr. A password is better in STREP_CDR_DATABASE than on a command line.",
    ),
)
