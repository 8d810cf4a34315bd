"""Engines of speech from other packages, by the name under which they are installed.

A package declares, in its ``pyproject.toml``, something to call that returns a `Voices`, such as its class::

    [project.entry-points."strep.voices"]
    model = "my_package.voices:ModelVoices"
"""

from __future__ import annotations

import logging
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from media.voices.contract import Voices
from media.voices.espeak import EspeakVoices
from strep.errors import ConfigurationError

GROUP = "strep.voices"
"""The entry-point group."""
BUILT_IN = "espeak-ng"
"""The engine that comes along."""
_METHODS = ("voices", "check", "speak")

logger = logging.getLogger("strep.voices")


def installed_voices() -> dict[str, EntryPoint]:
    """Return the engines of other packages, by name, in the order of the names."""
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def import_voices() -> None:
    """Import and make every engine now: done while there are calls, it holds all of them up."""
    for name in installed_voices():
        try:
            load_voices(name)
        except ConfigurationError as error:  # who asks for it is told; nobody else has to care
            logger.warning("%s", error)


@cache
def load_voices(name: str = BUILT_IN) -> Voices:
    """Import and make the engine `name`; one for all calls, for it may be large, and may ask what voices there are.

    Raises:
        ConfigurationError: none is installed under the name, it cannot be imported or made, or is none.
    """
    if name == BUILT_IN:
        return EspeakVoices()
    installed = installed_voices()
    point = installed.get(name)
    if point is None:
        there = ", ".join([BUILT_IN, *installed])
        raise ConfigurationError(f"voices: there is no {name!r}; there is {there} (entry-point group {GROUP})")
    try:
        made = point.load()()
    except Exception as error:  # code of others: whatever it raises, it is not usable
        raise ConfigurationError(f"voices: {name} ({point.value}) cannot be made: {error!r}") from error
    missing = [method for method in _METHODS if not callable(getattr(made, method, None))]
    if missing:
        raise ConfigurationError(f"voices: {name} ({point.value}) is no engine; it lacks {', '.join(missing)}")
    engine: Voices = made
    return engine
