"""What was found once, and is mended: every input is tried again by the suite, whatever found it.

A case is a line: target, what went wrong, the input, as short as it still shows it.
"""

from __future__ import annotations

from tests.fuzz.guided.files import document
from tests.fuzz.guided.target import pieces

DEEP = b"[" * 1500

CASES: list[tuple[str, str, bytes]] = [
    ("small", "an answer of NATS nested too deeply raised RecursionError", b'\4\0{"error":' + DEEP),
    ("small", "a number of 5000 digits in a query raised ValueError", b"\2" + pieces(b"", b"", b"", b"9" * 5000)),
    ("small", "a token in place of a query's name was in the log", b"\0" + pieces(b"/?" + b"t" * 20)),
    ("express", "a backlog that no sweep had read; the test's mistake", b"\xe1" * 71),
    ("files", "a webhook's record that is no UTF-8 ended the search", b"\2" + pieces(b'{"url":"\xa5"}')),
    ("files", "so did one nested too deeply", b"\2" + pieces(b'{"data":' + DEEP)),
    (
        "files",
        "a message of NATS whose subject is no UTF-8",
        b"\3\1" + bytes(4) + b"\0\0\0\0\1\0\0\0" + bytes(8) + b"\xb6",
    ),
    ("files", "a job nested too deeply", b'\4{"name":' + DEEP),
    (
        "files",
        "a sidecar nested too deeply",
        b"\0" + pieces(document().replace(b'"events": []', b'"events": [{"a": ' + DEEP)),
    ),
    ("files", "a note nested too deeply", b"\0" + pieces(document("complete"), b"RIFF", b'{"a":' + DEEP)),
]
