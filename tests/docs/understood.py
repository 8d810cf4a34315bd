"""Whether a command line of this program would be understood, without doing what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from media.cli import strep

_FILE = re.compile(r"(?<![\w/.-])[\w-]+(?:\.[\w-]+)*\.[a-z]\w*(?![\w/.-])")


def context_of(words: list[str], folder: Path) -> click.Context:
    """Return the context of the command that is called by these words, all of its parameters parsed.

    Files that it names are made in the folder, which has to be the current one.

    Raises:
        click.ClickException: there is no such command, option or value.
    """
    for name in _FILE.findall(" ".join(words)):
        (folder / name).touch()
    if "--help" in words or "-h" in words:
        words = [word for word in words if word not in ("--help", "-h")]
        return _named(words)
    context = strep.make_context("strep", list(words))
    while isinstance(context.command, click.Group) and (rest := [*context._protected_args, *context.args]):
        name, command, args = context.command.resolve_command(context, rest)
        assert command is not None
        context = command.make_context(name, args, parent=context)
    return context


def _named(words: list[str]) -> click.Context:
    context = click.Context(strep, info_name="strep")
    for word in words:
        if isinstance(context.command, click.Group):
            name, command, _ = context.command.resolve_command(context, [word])
            assert command is not None
            context = click.Context(command, info_name=name, parent=context)
    return context


def all_commands() -> Iterator[tuple[str, click.Context]]:
    """Yield each command by its whole name, those that have others below them too."""
    yield from _below("strep", click.Context(strep, info_name="strep", **strep.context_settings))


def _below(path: str, context: click.Context) -> Iterator[tuple[str, click.Context]]:
    yield path, context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            assert command is not None
            below = click.Context(command, info_name=name, parent=context, **command.context_settings)
            yield from _below(f"{path} {name}", below)
