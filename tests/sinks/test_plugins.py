"""Sinks by name; the entry points are made up."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from media.sinks import plugins
from media.sinks.plugins import GROUP, load_sink
from strep.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "recorder": "media.sinks.recording:RecordingSink",
        "bad": "no.such:Thing",
        "none": "builtins:dict",
    }
    points = EntryPoints(EntryPoint(name, value, GROUP) for name, value in values.items())

    def entry_points(**selection: Any) -> EntryPoints:
        return points.select(**selection)

    monkeypatch.setattr(plugins, "entry_points", entry_points)


def test_made_with_its_arguments(tmp_path: Any) -> None:
    assert load_sink("recorder", tmp_path, format="passthrough").options.name == "recording"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("recrder", "no 'recrder'; installed are bad, none, recorder"),
        ("bad", "no.such:Thing. cannot be made: ModuleNotFoundError"),
        ("recorder", "cannot be made: TypeError"),
        ("none", "no sink; it lacks call_started, receive, call_ended, close, options"),
    ],
)
def test_what_is_wrong(name: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        load_sink(name)
