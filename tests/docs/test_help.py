"""`--help` of each command teaches: it has an example of that very command, and its examples are understood."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from tests.docs.pages import simple_commands
from tests.docs.understood import all_commands, context_of

COMMANDS = dict(all_commands())


def examples_in(context: click.Context) -> list[tuple[dict[str, str], list[str]]]:
    """Return variables and words of each call of this program in what stands below a command's options."""
    lines = (context.command.epilog or "").replace("\\\n", "").splitlines()
    lines = [line for line in lines if "strep " in line and line.startswith("  ") and "`" not in line]
    return [found for line in lines if not line.endswith(":") for found in simple_commands(line)
            if found[1][0] == "strep"]  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_it_has_an_example_of_itself(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = examples_in(COMMANDS[name])
    assert found, COMMANDS[name].command.get_help(COMMANDS[name])
    called = []
    for variables, words in found:
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in variables.items():
                patch.setenv(variable, value)
            called.append(context_of(words[1:], tmp_path))
    assert any(names_of(one)[: name.count(" ") + 1] == name.split() for one in called)


def names_of(context: click.Context) -> list[str]:
    return [*(names_of(context.parent) if context.parent else []), str(context.info_name)]
