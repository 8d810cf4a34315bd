"""Where recordings are delivered to: a directory, or whatever fsspec knows, S3 first of all.

A store is believed only after it was asked: `Store.has` compares what is there with the file that was sent.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from media.delivery.contents import READ_BYTES, sha256_of
from media.delivery.urls import directory_of
from media.sinks.naming import make_directory
from strep.errors import ConfigurationError


class Store(Protocol):
    """Keys to files.

    Every method raises `OSError`, or an exception of the store's own client, when the store cannot be reached or
    refuses.

    Attributes:
        url: where it is, as configured.
    """

    url: str

    def exists(self, key: str) -> bool:
        """Return whether there is anything at `key`."""

    def has(self, key: str, path: Path, sha256: str) -> bool:
        """Return whether the object at `key` has the bytes of the file at `path`, of which `sha256` is known."""

    def put(self, path: Path, key: str) -> None:
        """Put the file at `path` at `key`, so that nobody sees half of it, over whatever is there."""

    def location(self, key: str) -> str:
        """Return the URL of `key`."""


class DirectoryStore:
    """A directory, such as one on another machine: what is in it is on the disk, whole, or not there."""

    def __init__(self, url: str, path: Path) -> None:
        self.url = url
        self._path = path

    def exists(self, key: str) -> bool:
        """Return whether there is anything at `key`."""
        return os.path.lexists(self._at(key))

    def has(self, key: str, path: Path, sha256: str) -> bool:
        """Read it again and compare."""
        try:
            return sha256_of(self._at(key)) == sha256
        except FileNotFoundError:
            return False

    def put(self, path: Path, key: str) -> None:
        """Copy beside its place, force it to the disk, rename."""
        target = self._at(key)
        make_directory(target.parent)
        temporary = target.with_name(f".{target.name}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with path.open("rb") as source, open(os.open(temporary, flags, 0o600), "wb") as copy:
                shutil.copyfileobj(source, copy, READ_BYTES)
                copy.flush()
                os.fsync(copy.fileno())
            os.replace(temporary, target)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(target.parent)

    def location(self, key: str) -> str:
        """Return a file: URL."""
        return self._at(key).as_uri()

    def _at(self, key: str) -> Path:
        return self._path / key


def open_store(url: str) -> Store:
    """Return the store at a checked `url`."""
    directory = directory_of(url)
    if directory is not None:
        return DirectoryStore(url, directory)
    from media.delivery.object_store import ObjectStore

    return ObjectStore(url)


def require_client(url: str) -> None:
    """See whether what speaks with the store is installed.

    Raises:
        ConfigurationError: it is not; the text says what to install.
    """
    if directory_of(url) is not None:
        return
    scheme = urlsplit(url).scheme
    needed = ("fsspec", "s3fs") if scheme in ("s3", "s3a") else ("fsspec",)
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"to deliver to {url}, {' and '.join(missing)} must be installed: pip install '/path/to/strep[store]'"
        )
    from fsspec.registry import known_implementations

    if scheme not in known_implementations:
        raise ConfigurationError(f"{url}: fsspec knows no {scheme}:; for S3 it is s3://BUCKET/PREFIX")


def sync_directory(path: Path) -> None:
    """Force the names in a directory to the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
