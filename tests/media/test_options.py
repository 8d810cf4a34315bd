"""`media.options`: the declarations hang together, and cover the configuration."""

from __future__ import annotations

import tomllib
from dataclasses import fields

import pytest

from media.config import LogConfig, ProcessConfig, ServerConfig
from media.nats.config import NatsConfig
from media.option import Option
from media.options import BY_NAME, OPTIONS

every_option = pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)


def test_every_field_has_one_option() -> None:
    """Of all parts of the configuration, of which one has a part of its own."""
    declared = [(option.owner, option.target) for option in OPTIONS]
    parts = (ServerConfig, ProcessConfig, LogConfig, NatsConfig)
    expected = [(part, field.name) for part in parts for field in fields(part) if field.type != "NatsConfig"]
    assert sorted(declared, key=str) == sorted(expected, key=str)
    assert len(BY_NAME) == len(OPTIONS)


@every_option
def test_default_can_be_written(option: Option) -> None:
    if option.default_text:
        assert option.format.parse(option.default_text) == option.default


@every_option
def test_example_is_valid(option: Option) -> None:
    value = option.format.parse(option.example)
    assert option.format.parse(option.format.show(value)) == value


@every_option
def test_spellings(option: Option) -> None:
    assert option.flag == f"--{option.name}".replace("_", "-")
    assert option.variable == f"STREP_{option.name}".upper()
    assert tomllib.loads(f"{option.name} = 1") == {option.name: 1}


@every_option
def test_help_is_a_sentence(option: Option) -> None:
    assert option.help.endswith(".")
    assert option.help[0].isupper() or option.help[0].isdigit()
