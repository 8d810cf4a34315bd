"""Sealed recordings as tests make and open them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from media.sealing.keys import Identity
from media.sealing.opening import Opened
from media.sealing.records import Kind, Record
from media.sealing.scanning import reader_of, scan
from media.sinks.audio_files import create, reopen
from media.sinks.sealed import SealedWav
from media.sinks.sealed_edits import edit
from media.sinks.wav import Encoding
from tests.sealing.people import ALICE, FOR_ALICE
from tests.sinks.waves import noise

RATE_HZ = 8000


def sealed(directory: Path, encoding: Encoding = Encoding.PCM16, name: str = "a") -> SealedWav:
    file = create(directory, name, encoding, RATE_HZ, FOR_ALICE)
    assert isinstance(file, SealedWav)
    return file


def kinds(path: Path) -> list[Kind]:
    with path.open("rb") as file:
        found = scan(reader_of(file.fileno()), path.stat().st_size)
        return [one.kind for one in found if isinstance(one, Record)]


def one_of_each(directory: Path) -> Path:
    """Return a small one with each kind of record: of two processes, with a patch, a hole, an edit."""
    file = sealed(directory)
    file.write(0, noise(Encoding.PCM16, 10))
    file.patch(1, 4, noise(Encoding.PCM16, 4)[:, 0])
    file.let_go()
    again: Any = reopen(file.path, FOR_ALICE)
    again.write(15, noise(Encoding.PCM16, 5))
    again.extend(25)
    again.describe({"digits": "1"})
    again.close()
    edit(again.path, FOR_ALICE, [(2, 3)], "both")
    return file.path


def everything(path: Path, key: Identity = ALICE) -> bytes:
    """Return the content of all records, superseded ones as well."""
    with Opened(path, [key]) as opened:
        return b"".join(opened._content(record) for record in opened._records)
