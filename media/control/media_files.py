"""Files that callers may hear: those of one directory, by name."""

from __future__ import annotations

from pathlib import Path

from media.control.contract import NO_CALL, NOT_NOW, ActionError


def media_path(directory: Path | None, name: str) -> Path:
    """Return the file of that name in `directory`; a link may lead to another place in it, and to none outside.

    Raises:
        ActionError: there is no directory, or no such file in it.
    """
    if directory is None:
        raise ActionError(NOT_NOW, "no_media", "media_name: start the server with --media DIRECTORY")
    root = directory.resolve()
    try:
        path = (root / name).resolve()
        is_there = path.is_relative_to(root) and path.is_file()
    except (OSError, ValueError, RuntimeError):  # a link to itself, a name that no file can have
        is_there = False
    if not is_there:
        raise ActionError(NO_CALL, "no_such_media", f"there is no file {name!r} in the directory of --media")
    return path
