"""Settings structures become options, and back."""

from __future__ import annotations

from typing import Annotated, Any

import click
import msgspec
import pytest
from click.testing import CliRunner
from msgspec import Meta

from benchmarks import options
from benchmarks.command import bench
from benchmarks.question import QUESTIONS, find


class Settings(msgspec.Struct, frozen=True):
    calls: Annotated[tuple[Annotated[int, Meta(ge=1)], ...], Meta(description="Calls at once.")] = (10, 20)
    idle_seconds: Annotated[float, Meta(gt=0, description="A while.")] = 2.5
    only: Annotated[tuple[str, ...], Meta(extra={"choices": ["a", "b"]})] = ("a", "b")


QUICK = Settings(calls=(1,), idle_seconds=0.5)


def chosen(*arguments: str) -> Settings:
    found: list[Settings] = []

    def note(context: click.Context, /, **_: Any) -> None:
        found.append(options.chosen(context, QUICK))

    command = click.Command("test", callback=click.pass_context(note), params=options.options_of(Settings))
    command.main(list(arguments), standalone_mode=False)
    return found[0]


def test_what_is_not_given_is_the_default() -> None:
    assert chosen() == QUICK


def test_what_is_given() -> None:
    assert chosen("--calls", "3", "--calls", "4", "--idle-seconds", "9") == Settings((3, 4), 9.0)


@pytest.mark.parametrize("arguments", [["--calls", "0"], ["--idle-seconds", "0"], ["--only", "c"]])
def test_what_cannot_be(arguments: list[str]) -> None:
    with pytest.raises(click.BadParameter):
        chosen(*arguments)


@pytest.mark.parametrize("name", list(QUESTIONS))
def test_every_question_teaches(name: str) -> None:
    question = find(name)
    assert question.name == name
    assert isinstance(question.quick, question.settings)
    outcome = CliRunner().invoke(bench, [name, "--help"])
    assert outcome.exit_code == 0, outcome.output
    assert all(text in outcome.output for text in ("--quick", "--write-readme", "--json"))
    for field in msgspec.structs.fields(question.settings):
        assert f"--{field.name.replace('_', '-')}" in outcome.output


def test_overview_lists_the_questions() -> None:
    output = CliRunner().invoke(bench, ["--help"]).output
    assert all(f"  {name} " in output for name in [*QUESTIONS, "all"])
