"""Sinks from other packages, by the name under which they are installed.

A package declares, in its ``pyproject.toml``, something to call that returns a `Sink`, such as its class::

    [project.entry-points."strep.sinks"]
    transcriber = "my_package.sinks:Transcriber"
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from media.sinks.contract import Sink, SinkOptions
from strep.errors import ConfigurationError

GROUP = "strep.sinks"
"""The entry-point group."""
_METHODS = ("call_started", "receive", "call_ended", "close")


def installed_sinks() -> dict[str, EntryPoint]:
    """Return what is installed, by name, in the order of the names."""
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def load_sink(name: str, *arguments: Any, **settings: Any) -> Sink:
    """Import and make the sink `name`, from `arguments` and `settings` if it takes any.

    Raises:
        ConfigurationError: none is installed under the name, it cannot be imported or made, or is no sink.
    """
    installed = installed_sinks()
    point = installed.get(name)
    if point is None:
        there = f"installed are {', '.join(installed)}" if installed else "none is installed"
        raise ConfigurationError(f"sink: there is no {name!r}; {there} (entry-point group {GROUP})")
    try:
        sink = point.load()(*arguments, **settings)
    except Exception as error:  # code of others: whatever it raises, it is not usable
        raise ConfigurationError(f"sink: {name} ({point.value}) cannot be made: {error!r}") from error
    missing = [method for method in _METHODS if not callable(getattr(sink, method, None))]
    if not isinstance(getattr(sink, "options", None), SinkOptions):
        missing.append("options (SinkOptions)")
    if missing:
        raise ConfigurationError(f"sink: {name} ({point.value}) is no sink; it lacks {', '.join(missing)}")
    made: Sink = sink
    return made
