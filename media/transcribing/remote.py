"""Engines and options that somebody at the HTTP door may ask for: never a path, an address or a key of this machine.

An engine's class says which of its options those are, ``remote_options``: by name, the values that may be given, None
for any. One that says nothing takes none. All others are the operator's, by ``--transcribe`` and
``--transcribe-engine``, and lie below what is asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from media.transcribing.plugins import EngineChoice, engine_factory

RemoteOptions = Mapping[str, Collection[str] | None]


def remote_choice(engine: str, asked: Mapping[str, str | float], offered: Iterable[EngineChoice]) -> EngineChoice:
    """Return an engine with what is asked of it; it may import code of others.

    Args:
        engine: by name.
        asked: options.
        offered: engines with the operator's options; of one name the first counts.

    Raises:
        ConfigurationError: there is no such engine.
        ValueError: an option is not for who asks; the text names it.
    """
    allowed: RemoteOptions = getattr(engine_factory(engine), "remote_options", {})
    for name, value in asked.items():
        if name not in allowed:
            raise ValueError(f"transcription_engine_config.{name}: {_refusal(engine, allowed)}")
        values = allowed[name]
        if values is not None and _text(value) not in values:
            raise ValueError(
                f"transcription_engine_config.{name}: here it is {' or '.join(sorted(values))}; others are for the "
                f"operator: --transcribe-engine {engine}:{name}=..."
            )
    below = next((choice.options for choice in offered if choice.name == engine), ())
    return EngineChoice(engine, tuple((dict(below) | {name: _text(value) for name, value in asked.items()}).items()))


def _refusal(engine: str, allowed: RemoteOptions) -> str:
    there = ", ".join(sorted({*allowed, "interim_results"}))
    return f"{engine} takes {there} here; others are for the operator: --transcribe-engine {engine}:KEY=VALUE"


def _text(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"
