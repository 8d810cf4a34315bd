"""Engines by name; the entry points are made up."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from media.voices import plugins
from media.voices.espeak import EspeakVoices
from media.voices.plugins import GROUP, import_voices, load_voices
from strep.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"other": "media.voices.espeak:EspeakVoices", "bad": "no.such:Thing", "none": "builtins:dict"}
    points = EntryPoints(EntryPoint(name, value, GROUP) for name, value in values.items())

    def entry_points(**selection: Any) -> EntryPoints:
        return points.select(**selection)

    monkeypatch.setattr(plugins, "entry_points", entry_points)
    load_voices.cache_clear()


@pytest.mark.parametrize("name", ["espeak-ng", "other"])
def test_made(name: str) -> None:
    assert isinstance(load_voices(name), EspeakVoices)


@pytest.mark.parametrize("name", ["espeak-ng", "other"])
def test_every_call_has_the_same_engine(name: str) -> None:
    assert load_voices(name) is load_voices(name)


def test_all_are_made_beforehand_and_what_is_wrong_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import_voices()
    monkeypatch.setattr(plugins, "entry_points", None)  # it is not asked again
    assert isinstance(load_voices("other"), EspeakVoices)
    assert [record.getMessage().partition(" (")[0] for record in caplog.records] == ["voices: bad", "voices: none"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("espeak", "no 'espeak'; there is espeak-ng, bad, none, other"),
        ("bad", "no.such:Thing. cannot be made: ModuleNotFoundError"),
        ("none", "no engine; it lacks voices, check, speak"),
    ],
)
def test_what_is_wrong(name: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        load_voices(name)
