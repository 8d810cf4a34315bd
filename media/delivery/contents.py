"""What is in a file, a piece at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

READ_BYTES = 1 << 20


def sha256_of(path: Path) -> str:
    """Return the hash of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pieces(file: BinaryIO, size_bytes: int = READ_BYTES) -> Iterator[bytes]:
    """Yield what is in a file, `size_bytes` at a time."""
    while piece := file.read(size_bytes):
        yield piece
