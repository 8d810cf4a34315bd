"""`Catalogue`: the recordings of some directories, newest first, by their sidecars. For threads: it reads the disk.

A name comes from a request: it is looked up among the names that a directory has, and never becomes a path by itself.
What a sidecar says its audio file is called is believed only if such a file lies beside it.
"""

from __future__ import annotations

import os
import re
import stat
import threading
from collections.abc import Sequence
from io import BufferedReader
from pathlib import Path
from typing import Any

import msgspec

from media.config import ServerConfig
from media.documents import read_document
from media.sealing.records import SUFFIX as SEALED
from strep.clock import NS_PER_SECOND, Clock

MAX_SIDECAR_BYTES = 16 << 20
LOOK_EVERY_NS = 2 * NS_PER_SECOND
"""Directories are not listed more often, however many ask."""
LOOKS_SHARE = 20
"""Nor so often that it takes more than one part in so many of the time: there may be a million files."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+=-]{0,254}", re.ASCII)
_ENDING = ".json"


class _Track(msgspec.Struct):
    direction: str
    codec: str | None = None
    totals: dict[str, int] = {}


class _Listed(msgspec.Struct):
    """What a list shows of a sidecar."""

    state: str
    call_id: str
    door: str
    identity: dict[str, Any]
    started_at: str
    reason: str | None
    error: str | None
    file: str | None
    sample_rate_hz: int
    length_samples: int
    note: str = ""
    format: str | None = None
    channels: int = 2
    take: dict[str, Any] | None = None
    tracks: list[_Track] = []
    encrypted_to: list[str] = []


class Catalogue:
    """All methods may be called from any thread."""

    def __init__(self, directories: Sequence[Path], clock: Clock) -> None:
        """Look at nothing yet."""
        self._directories, self._clock = tuple(dict.fromkeys(directories)), clock
        self._lock = threading.Lock()
        self._names: dict[str, Path] = {}
        self._next_look_ns = -1

    def page(self, offset: int, limit: int) -> tuple[int, list[dict[str, Any]]]:
        """Return how many recordings there are, and some of them, the newest first."""
        names = self._look()
        some = list(names.items())[offset : offset + limit]
        return len(names), [self._listed(name, path) for name, path in some]

    def sidecar(self, name: str) -> bytes | None:
        """Return the sidecar of a recording as it is; None if there is none of that name."""
        path = self._find(name)
        return None if path is None else _read(path)

    def beside(self, name: str, ending: str) -> Path | None:
        """Return what lies beside a sidecar under the same name with another ending, if it is a file."""
        path = self._find(name)
        return None if path is None else _file(path.parent, name + ending)

    def audio(self, name: str) -> Path | None:
        """Return the audio file of a recording; None: there is none, or it is sealed."""
        path = self._find(name)
        content = None if path is None else _read(path)
        if path is None or content is None:
            return None
        try:
            listed = read_document(content, _Listed)
        except ValueError:
            return None
        if listed.file is None or listed.encrypted_to or listed.file.endswith(SEALED):
            return None
        return _file(path.parent, listed.file)

    def _listed(self, name: str, path: Path) -> dict[str, Any]:
        content = _read(path)
        try:
            listed = read_document(content or b"", _Listed)
        except ValueError:
            return {"name": name, "state": "unreadable"}
        said: dict[str, Any] = msgspec.to_builtins(listed)
        is_sealed = bool(said.pop("encrypted_to")) or (listed.file or "").endswith(SEALED)
        file = None if listed.file is None else _file(path.parent, listed.file)
        return {"name": name, **said, "is_sealed": is_sealed, "is_playable": file is not None and not is_sealed}

    def _find(self, name: str) -> Path | None:
        """Return the sidecar of that name, the newest as in the list, which takes a look at no other."""
        found = [path for folder in self._directories if (path := _file(folder, name + _ENDING))]
        return max(found, key=_modified_ns, default=None)

    def _look(self) -> dict[str, Path]:
        """Return the sidecars by name, the newest first."""
        with self._lock:
            now_ns = self._clock.now_ns()
            if now_ns >= self._next_look_ns:
                found: list[tuple[int, str, Path]] = []
                for directory in self._directories:
                    found += _sidecars(directory)
                self._names = {}
                for _, name, path in sorted(found, key=lambda one: (-one[0], one[1])):
                    self._names.setdefault(name, path)
                over_ns = self._clock.now_ns()
                self._next_look_ns = over_ns + max(LOOK_EVERY_NS, LOOKS_SHARE * (over_ns - now_ns))
            return self._names


def catalogue_of(config: ServerConfig, clock: Clock) -> Catalogue | None:
    """Return the recordings that a server serves; None: none are."""
    directories = list(filter(None, (config.record, config.takes)))
    return Catalogue(directories, clock) if directories and config.http_recordings == "on" else None


def _sidecars(directory: Path) -> list[tuple[int, str, Path]]:
    found = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                name = entry.name.removesuffix(_ENDING)
                if name == entry.name or not _NAME.fullmatch(name):
                    continue
                try:
                    told = entry.stat(follow_symlinks=False)
                except OSError:
                    continue  # gone meanwhile
                if stat.S_ISREG(told.st_mode):
                    found.append((told.st_mtime_ns, name, Path(entry.path)))
    except OSError:
        return []  # nothing was recorded yet
    return found


def _file(directory: Path, name: str) -> Path | None:
    """Return a file of a directory, and nothing that only leads to one."""
    if not _NAME.fullmatch(name):
        return None
    path = directory / name
    try:
        return path if stat.S_ISREG(path.lstat().st_mode) else None
    except OSError:
        return None


def _modified_ns(path: Path) -> int:
    try:
        return path.lstat().st_mtime_ns
    except OSError:
        return 0  # gone meanwhile


def open_file(path: Path) -> BufferedReader | None:
    """Open what `Catalogue` found; None: it is gone by now, or only leads to a file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return open(fd, "rb")
    os.close(fd)
    return None


def _read(path: Path) -> bytes | None:
    """Return what is in a file, None if that is too much or it is gone."""
    file = open_file(path)
    if file is None:
        return None
    with file:
        content = file.read(MAX_SIDECAR_BYTES + 1)
    return content if len(content) <= MAX_SIDECAR_BYTES else None
