"""`ObjectStore`: a bucket, by fsspec; written for S3 and what speaks like it, and good for whatever fsspec knows.

Where it is and who we are comes from the environment, as boto has it: ``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID``,
``AWS_SECRET_ACCESS_KEY``, ``AWS_REGION``, a profile, a role of the machine. A file from 16 MiB on goes in parts of
8 MiB, each tried for itself; no more than one is in memory. Attempts and pauses between them are
`media.delivery.schedule`'s, so the clients below are told not to make their own.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fsspec

from media.delivery.contents import READ_BYTES, pieces

PART_BYTES = 8 << 20
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 10, 60
_MD5 = re.compile(r"[0-9a-f]{32}(-\d+)?")
_S3 = ("s3", "s3a")


class ObjectStore:
    """A bucket, or a folder in one."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._scheme = urlsplit(url).scheme
        self._prefix = url.partition("://")[2].rstrip("/")
        self._connected: Any = None

    def exists(self, key: str) -> bool:
        """Return whether there is an object at `key`."""
        return self._info(key) is not None

    def has(self, key: str, path: Path, sha256: str) -> bool:
        """Compare sizes, then what S3 calls ETag if that is an MD5 of the bytes sent, else read all of it back."""
        info, size_bytes = self._info(key), path.stat().st_size
        if info is None or info.get("size") != size_bytes:
            return False
        etag = str(info.get("ETag", "")).strip('"')
        if self._scheme in _S3 and _MD5.fullmatch(etag) and etag == etag_of(path):
            return True
        digest = hashlib.sha256()
        with self._fs().open(self._at(key), "rb", cache_type="readahead", block_size=READ_BYTES) as file:
            for piece in pieces(file):
                digest.update(piece)
        return digest.hexdigest() == sha256

    def put(self, path: Path, key: str) -> None:
        """Send it; an object appears when all of it is there."""
        how = {"chunksize": PART_BYTES, "max_concurrency": 1} if self._scheme in _S3 else {}
        try:
            if self._scheme not in _S3:  # they have folders that must be made
                self._fs().makedirs(self._at(key).rpartition("/")[0], exist_ok=True)
            self._fs().put_file(str(path), self._at(key), **how)
        except PermissionError:
            self._connected = None  # credentials may be others the next time
            raise

    def location(self, key: str) -> str:
        """Return the URL, which has no host in it."""
        return f"{self._scheme}://{self._at(key)}"

    def _at(self, key: str) -> str:
        return f"{self._prefix}/{key}"

    def _info(self, key: str) -> dict[str, Any] | None:
        fs, path = self._fs(), self._at(key)
        fs.invalidate_cache()
        try:
            info: dict[str, Any] = fs.info(path)
        except FileNotFoundError:
            return None
        except PermissionError:
            self._connected = None
            raise
        return info if info.get("type") == "file" else None

    def _fs(self) -> Any:
        if self._connected is None:
            options: dict[str, Any] = {}
            if self._scheme in _S3:
                options["config_kwargs"] = {
                    "connect_timeout": CONNECT_TIMEOUT_S,
                    "read_timeout": READ_TIMEOUT_S,
                    "retries": {"total_max_attempts": 1},
                }
            fs = fsspec.filesystem(self._scheme, skip_instance_cache=True, use_listings_cache=False, **options)
            if self._scheme in _S3:
                fs.retries = 1
            self._connected = fs
        return self._connected


def etag_of(path: Path) -> str:
    """Return what S3 answers for a file that was put as `ObjectStore` puts it, unless it encrypts with a key.

    The MD5 of a file in one part; else of the MD5s of its parts, and their number. As s3fs does it, a file is in one
    part below twice the length of a part.
    """
    if path.stat().st_size < 2 * PART_BYTES:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    with path.open("rb") as file:
        parts = [hashlib.md5(piece, usedforsecurity=False).digest() for piece in pieces(file, PART_BYTES)]
    return f"{hashlib.md5(b''.join(parts), usedforsecurity=False).hexdigest()}-{len(parts)}"
