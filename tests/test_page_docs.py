"""What docs/page.md says is so: tables made from the code, a command that is understood, bounds."""

from __future__ import annotations

import re
import shlex
import struct
from pathlib import Path

from media.http import recordings
from media.page import levels, messages, overview, peaks, viewer

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "page.md").read_text(encoding="utf-8")
TYPES = {"<u4": "u32", "<u2": "u16", "u1": "u8"}


def table(fields: tuple[tuple[str, str, str], ...]) -> str:
    """Return what the page has to say of a record."""
    lines, at = ["| at | type | name | what |", "|---|---|---|---|"], 0
    for name, code, meaning in fields:
        lines.append(f"| {at} | {TYPES[code]} | `{name}` | {meaning} |")
        at += int(code[-1])
    return "\n".join(lines) + "\n"


def test_records_are_those_of_the_code() -> None:
    """On failure: what the page should have between its comments."""
    made = re.findall(r"<!-- made from the code[^>]*-->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    assert made == [table(levels.FIELDS), table(overview.FIELDS)]
    assert messages.HEADER.size == 8 == struct.calcsize("<BBHI")


def test_bounds() -> None:
    assert f"at most {viewer.MAX_VISIBLE}:" in PAGE
    assert f"at most {messages.CALLS_AT_ONCE} a message" in PAGE
    assert f"({recordings.DEFAULT_LIMIT}, at most {recordings.MAX_LIMIT})" in PAGE
    assert f"({recordings.DEFAULT_BUCKETS}, at most {peaks.MAX_BUCKETS})" in PAGE


def test_its_command_is_understood() -> None:
    from media.serve import serve

    [line] = re.findall(r"^\$ \.venv/bin/strep serve (.*)$", PAGE, re.MULTILINE)
    serve.make_context("serve", shlex.split(line))


def test_its_pictures_and_links_are_there() -> None:
    for path in re.findall(r"\]\((?!http)([^)#]+)", PAGE):
        assert (ROOT / "docs" / path).exists(), path
