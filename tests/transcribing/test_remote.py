"""What somebody at the HTTP door can have an engine of transcription do."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from media.transcribing.engines.websocket import KEY_VARIABLE, WebSocketEngine
from media.transcribing.plugins import BUILT_IN, EngineChoice, engine_factory, parse_choice
from media.transcribing.remote import remote_choice
from strep.errors import ConfigurationError

DANGEROUS = (
    "url",
    "key",
    "model",
    "lm",
    "dict",
    "hmm",
    "keywords",
    "grammar",
    "callback",
    "clock",
    "decoders",
    "self",
)


@pytest.mark.parametrize("engine", BUILT_IN)
@pytest.mark.parametrize("name", DANGEROUS)
def test_paths_addresses_and_keys_are_the_operators(engine: str, name: str) -> None:
    if (engine, name) in {("websocket", "model"), ("websocket", "keywords")}:
        return  # words for the service
    with pytest.raises(ValueError, match=rf"transcription_engine_config\.{name}: .*--transcribe-engine {engine}:"):
        remote_choice(engine, {name: "/etc/passwd"}, [])


@pytest.mark.parametrize("engine", BUILT_IN)
def test_what_may_be_asked_for_is_there(engine: str) -> None:
    factory: Any = engine_factory(engine)
    known = inspect.signature(factory.__init__).parameters
    assert "language" in factory.remote_options
    assert set(factory.remote_options) <= set(known) or "query" in known


def test_options_of_the_operator_lie_below() -> None:
    offered = [parse_choice("vosk:model=/models/de,words=ja|nein"), parse_choice("vosk:model=/models/en")]
    assert remote_choice("vosk", {"words": "yes|no"}, offered) == parse_choice("vosk:model=/models/de,words=yes|no")
    assert remote_choice("pocketsphinx", {"grammar": "digits"}, offered) == EngineChoice(
        "pocketsphinx", (("grammar", "digits"),)
    )


def test_values_are_written_as_in_a_query() -> None:
    choice = remote_choice("websocket", {"smart_format": True, "endpointing": 300.0, "model": "nova-3"}, [])
    assert dict(choice.options) == {"smart_format": "true", "endpointing": "300", "model": "nova-3"}


def test_an_engine_that_is_not_there() -> None:
    with pytest.raises(ConfigurationError, match="there is no engine 'nobody'"):
        remote_choice("nobody", {}, [])


def test_the_key_goes_to_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "the-operators")
    assert WebSocketEngine().key == "the-operators"
    assert WebSocketEngine("wss://elsewhere.example/v1/listen").key == ""
    assert WebSocketEngine("wss://elsewhere.example/v1/listen", key="for-them").key == "for-them"
