"""Shell: the command ``strep``. What a subcommand needs is imported when it is used: ``--help`` takes no time."""

from __future__ import annotations

import asyncio
import difflib
import importlib
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from media.config import ServerConfig
from media.options import OPTIONS
from strep import __version__
from strep.errors import ConfigurationError

if TYPE_CHECKING:
    from media.server import Server
    from media.settings import Settings

_LOG = logging.getLogger("strep.serve")

OK, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130
_EXIT_CODES = """\b
Exit codes:
  0    done; `serve` was asked to end and finished all files
  1    failed while running: address in use, directory not writable, ...
  2    a command, option or configuration that cannot be
  130  interrupted; `serve` by a second signal, with files left unfinished
"""
_EPILOG = (
    """\b
Examples:
  See and hear it work, without a carrier:
    strep demo
  Receive calls and record them:
    strep serve --udp :9000 --ws :9001 --record recordings
  Be the carrier, in another terminal:
    strep simulate --udp 127.0.0.1:9000 --calls 10 --loss 2%

"""
    + _EXIT_CODES
)
_SERVE_EPILOG = (
    """\b
Examples:
  Record what a carrier forks to port 9000 of any address of this machine:
    strep serve --udp 0.0.0.0:9000 --record recordings
  Media streams too, and two taps that send plain RTP:
    strep serve --udp :9000 --ws :9001 --rtp lab=4000,4001 --rtp office=4010,4011
  The same from a file, and from the environment:
    strep serve --config strep.toml
    STREP_UDP=:9000 STREP_RTP="lab=4000,4001;office=4010,4011" strep serve

\b
Every option --some-thing is also the variable STREP_SOME_THING and the key
some_thing in the file, in a table [serve] or at the top. Flags go before
variables, variables before the file. Durations are written 30s, 500ms, 2m
(a bare number is seconds), sizes 16MiB.

\b
When it can receive it prints one line on standard output, with the ports
that the system chose where 0 was given:
  ready {"udp":"127.0.0.1:9000","ws":"127.0.0.1:9001"}
SIGTERM or SIGINT (Ctrl-C) ends it: calls are ended and all files finished.

"""
    + _EXIT_CODES
)


class Refusal(click.ClickException):
    """A configuration that cannot be; one line and exit code 2."""

    exit_code = MISUSED


class LazyGroup(click.Group):
    """Knows its subcommands by name and imports one when it is called.

    Args:
        homes: per name, "module:attribute" and the line for the overview.
    """

    def __init__(self, *args: Any, homes: dict[str, tuple[str, str]], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._homes = homes

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of their declaration."""
        return list(self._homes)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command, if there is one of this name."""
        if cmd_name not in self._homes:
            return None
        module, _, attribute = self._homes[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self._homes.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one was probably meant."""
        name = args[0]
        if name not in self._homes and not name.startswith("-"):
            close = difflib.get_close_matches(name, self._homes, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(self._homes)}."
            raise click.UsageError(f"No such command: {name}. {hint}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a configuration that cannot be is one line, not a traceback."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            raise Refusal(str(error)) from error


class SectionedCommand(click.Command):
    """Shows its options under headings: those of `media.options`, then the rest."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section."""
        section_of = {option.name: option.section for option in OPTIONS}
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record:
                sections.setdefault(section_of.get(parameter.name or "", "Other"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def _serve_parameters() -> list[click.Parameter]:
    """Return the options as click knows them: text, which `media.settings` reads."""
    parameters: list[click.Parameter] = []
    for option in OPTIONS:
        default = f"  [default: {option.default_text}]" if option.default_text else ""
        parameters.append(
            click.Option(
                [option.flag],
                metavar=option.format.metavar,
                multiple=option.repeatable,
                help=option.help + default,
            )
        )
    file_type = click.Path(path_type=Path)
    parameters.append(click.Option(["--config"], metavar="FILE", type=file_type, help="Read options from a TOML file."))
    return parameters
