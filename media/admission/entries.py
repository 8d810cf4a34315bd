"""`Entries`: short texts by name, in a directory: seen by all processes that use it, and by their successors.

An entry is a symbolic link that leads nowhere: its target is the text. The kernel makes it in one step, text and all,
or says that it is there already, so that of several processes exactly one claims a name, and whoever is killed leaves
no half of an entry. What is written is in the directory when a process dies; nothing is synced for a power failure.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from media.sinks.naming import make_directory

_UNFINISHED = ".new-"
UNFINISHED_S = 60.0
"""So old, what is not finished is of a process that is gone: it takes microseconds."""


class Entries:
    """The entries of one directory; names and texts are short, and harmless as file names."""

    def __init__(self, directory: Path) -> None:
        """Use `directory`, which is made for its owner alone.

        Raises:
            OSError: it cannot be made.
        """
        make_directory(directory)
        self._directory = directory

    def claim(self, name: str, text: str) -> str:
        """Make an entry unless it is there; return the text that it has now.

        Raises:
            OSError: it cannot be made or read.
        """
        path = self._directory / name
        for _ in range(3):  # whoever prunes may take it away between the two calls
            try:
                os.symlink(text, path)
                return text
            except FileNotFoundError:  # the folder: who tidies up in /tmp takes it away after some days
                make_directory(self._directory)
            except FileExistsError:
                try:
                    return os.readlink(path)
                except FileNotFoundError:
                    continue
        raise FileNotFoundError(f"{name} comes and goes")

    def find(self, name: str) -> str | None:
        """Return the text of an entry, None if there is none.

        Raises:
            OSError: it cannot be read.
        """
        try:
            return os.readlink(self._directory / name)
        except FileNotFoundError:
            return None

    def put(self, name: str, text: str) -> None:
        """Make an entry, whatever there is of its name.

        Raises:
            OSError: it cannot be made.
        """
        unfinished = self._directory / f"{_UNFINISHED}{name}-{os.getpid()}"
        unfinished.unlink(missing_ok=True)
        os.symlink(text, unfinished)
        os.replace(unfinished, self._directory / name)

    def remove(self, name: str) -> None:
        """Take an entry away, if it is there.

        Raises:
            OSError: it cannot be.
        """
        (self._directory / name).unlink(missing_ok=True)

    def sweep(self, now_s: float) -> None:
        """Take away what processes that were killed have not finished; what is younger than a minute may go on.

        Raises:
            OSError: the directory cannot be read, or something in it not be removed.
        """
        for path in self._directory.glob(f"{_UNFINISHED}*"):
            with contextlib.suppress(FileNotFoundError):
                if now_s - path.lstat().st_mtime > UNFINISHED_S:
                    path.unlink()

    def names(self) -> Iterator[str]:
        """Yield names; those that are no entries are passed over.

        Raises:
            OSError: the directory cannot be read.
        """
        with os.scandir(self._directory) as found:
            for entry in found:
                if entry.is_symlink() and not entry.name.startswith(_UNFINISHED):
                    yield entry.name

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield names and texts; what is no entry is passed over.

        Raises:
            OSError: the directory cannot be read.
        """
        for name in self.names():
            with contextlib.suppress(OSError):  # it has gone meanwhile
                yield name, os.readlink(self._directory / name)
