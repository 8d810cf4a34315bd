"""What engines need that is not there, said so that it can be put there."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from strep.errors import ConfigurationError


def need_module(engine: str, module: str, install: str) -> None:
    """Check that a module can be imported, without importing it.

    Raises:
        ConfigurationError: it cannot.
    """
    if find_spec(module) is None:
        raise ConfigurationError(
            f"transcribe: {engine} needs {module}, which is not installed; pip install {install}"
        )


def need_path(engine: str, option: str, path: str, what: str) -> str:
    """Return a path that an option gives.

    Raises:
        ConfigurationError: it is not given, or there is nothing.
    """
    if not path:
        raise ConfigurationError(f"transcribe: {engine} needs {option}=PATH: {what}")
    if not Path(path).exists():
        raise ConfigurationError(f"transcribe: {engine}:{option}={path}: there is no such file or directory; {what}")
    return path


def whole_number(engine: str, option: str, text: str, least: int, most: int) -> int:
    """Return the number that an option gives.

    Raises:
        ConfigurationError: it is none, or out of range.
    """
    if not text.isascii() or not text.isdecimal() or not least <= int(text) <= most:
        raise ConfigurationError(f"transcribe: {engine}:{option}={text}: not a number from {least} to {most}")
    return int(text)
