"""Engines by name: those that come along, and those of other packages.

A package declares, in its ``pyproject.toml``, something to call that returns an `Engine`, such as its class::

    [project.entry-points."strep.transcribers"]
    shouter = "my_package.transcribing:ShouterEngine"

It is called with the options as keyword arguments, all of them text: ``--transcribe shouter:loud=yes`` calls
``ShouterEngine(loud="yes")``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from media.transcribing.contract import Engine
from strep.errors import ConfigurationError

GROUP = "strep.transcribers"
"""The entry-point group."""
DEFAULT = "pocketsphinx"
BUILT_IN = {
    "pocketsphinx": "media.transcribing.engines.pocketsphinx:PocketsphinxEngine",
    "vosk": "media.transcribing.engines.vosk:VoskEngine",
    "faster-whisper": "media.transcribing.engines.faster_whisper:FasterWhisperEngine",
    "websocket": "media.transcribing.engines.websocket:WebSocketEngine",
}
"""The engines that come along."""
SECRETS = ("key", "token", "password")
"""Options that are in no log and no metric."""
_METHODS = ("load", "open")


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """An engine and its options, as ``NAME`` or ``NAME:key=value,key=value`` writes them."""

    name: str
    options: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """Return it as it is written, without what is secret."""
        options = ",".join(f"{key}={'...' if key in SECRETS else value}" for key, value in self.options)
        return f"{self.name}:{options}" if options else self.name


def parse_choice(text: str) -> EngineChoice:
    """Return the engine and options that a text names.

    Raises:
        ValueError: it is no such text.
    """
    name, _, rest = text.strip().partition(":")
    options = [part.partition("=") for part in rest.split(",") if part]
    for key, equals, _ in options:
        if not equals or not key.strip().replace("_", "").isalnum():
            raise ValueError(f"{key!r} is no option; options are written NAME:key=value,key=value")
    if not name:
        raise ValueError("names no engine")
    return EngineChoice(name, tuple((key.strip(), value) for key, _, value in options))


def installed_engines() -> dict[str, EntryPoint]:
    """Return the engines of other packages, by name, in the order of the names."""
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def make_engine(choice: EngineChoice) -> Engine:
    """Import and construct an engine; it is not loaded.

    Raises:
        ConfigurationError: there is none of that name, it cannot be made with these options, or is none.
    """
    origin, factory = _found(choice.name)
    for key, value in choice.options:
        try:
            (key + value).encode()
        except UnicodeEncodeError as error:  # a worker cannot be told
            raise ConfigurationError(f"transcribe: {choice.name}:{key!a}: its value is no Unicode text") from error
    try:
        made = factory(**dict(choice.options))
    except ConfigurationError:
        raise
    except Exception as error:  # code of others: whatever it raises, it is not usable
        raise ConfigurationError(f"transcribe: {choice} ({origin}) cannot be made: {error!r}") from error
    missing = [method for method in _METHODS if not callable(getattr(made, method, None))]
    if not isinstance(getattr(made, "sample_rate_hz", None), int):
        missing.append("sample_rate_hz")
    if missing:
        raise ConfigurationError(f"transcribe: {choice.name} ({origin}) is no engine; it lacks {', '.join(missing)}")
    engine: Engine = made
    return engine


def engine_factory(name: str) -> Callable[..., Any]:
    """Return what makes an engine, such as its class.

    Raises:
        ConfigurationError: there is none of that name, or it cannot be imported.
    """
    return _found(name)[1]


def _found(name: str) -> tuple[str, Callable[..., Any]]:
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        factory: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
        return BUILT_IN[name], factory
    installed = installed_engines()
    point = installed.get(name)
    if point is None:
        there = ", ".join([*BUILT_IN, *installed])
        raise ConfigurationError(
            f"transcribe: there is no engine {name!r}; there is {there} (entry-point group {GROUP})"
        )
    try:
        return point.value, point.load()
    except Exception as error:  # code of others
        raise ConfigurationError(f"transcribe: {name} ({point.value}) cannot be imported: {error!r}") from error
