"""Shell: the command ``strep``. What a subcommand needs is imported when it is called: ``--help`` takes no time."""

from __future__ import annotations

import difflib
import gc
import importlib
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

import click

from strep import __version__
from strep.errors import ConfigurationError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from media.config import ServerConfig

OK, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130
EXIT_CODES = """\b
Exit codes:
  0    done; `serve` was asked to end and finished all files
  1    failed while running: address in use, directory not writable, ...
  2    a command, option or configuration that cannot be
  130  interrupted; `serve` by one more signal while it finishes files, which are left unfinished
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
    + EXIT_CODES
)


def examples(*lines: str) -> str:
    """Return what stands at the end of a command's help: a line that says what, and commands indented by two."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


class Refusal(click.ClickException):
    """A configuration that cannot be; one line and exit code 2."""

    exit_code = MISUSED


def reason_of(error: OSError, config: ServerConfig) -> str:
    """Return what went wrong as one line without an errno."""
    text = error.strerror or str(error)
    if isinstance(error, socket.gaierror):
        endpoints = [config.udp, config.ws, *(end for ports in config.rtp for end in (ports.rx, ports.tx))]
        return f"cannot resolve the host of {', '.join(str(end) for end in endpoints if end)}: {text}"
    return text.splitlines()[0] if text else type(error).__name__


class HintingGroup(click.Group):
    """Says which subcommand was probably meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one was probably meant."""
        name, names = args[0], self.list_commands(ctx)
        if name not in names and not name.startswith("-") and not ctx.resilient_parsing:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(names)}."
            raise click.UsageError(f"No such command: {name}. {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview, nothing cut off."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.commands[name].get_short_help_str(200)) for name in self.commands])


class LazyGroup(HintingGroup):
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

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return names that fit, without importing anything, and options."""
        from click.shell_completion import CompletionItem

        names = [(name, line) for name, (_, line) in self._homes.items() if name.startswith(incomplete)]
        found = [CompletionItem(name, help=line) for name, line in names]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a configuration that cannot be is one line, not a traceback."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            raise Refusal(str(error)) from error


@click.group(
    cls=LazyGroup,
    homes={
        "serve": ("media.serve:serve", "Receive calls, record them, hand them to sinks."),
        "simulate": ("media.carrier.command:simulate", "Be the carrier: send calls, with faults if you like."),
        "calls": ("media.terminal.calls:calls", "List the live calls of a server."),
        "call": ("media.terminal.call:call", "Show a live call, play to it, ask it for digits, record it, end it."),
        "tail": ("media.terminal.tail:tail", "Watch the calls of a server as they come and go."),
        "tap": ("media.feed.command:tap", "Write the audio of a live call to a program, as raw samples."),
        "cdr": ("media.cdr.command:cdr", "Insert call records of files into a database."),
        "inspect": ("media.captures.command:inspect", "Show the calls in a packet capture."),
        "replay": ("media.captures.command:replay", "Send the calls of a packet capture again."),
        "token": ("media.admission.command:token", "Make a token that lets media streams in."),
        "keygen": (
            "media.sealing.command:keygen",
            "Make a key that opens recordings, and show its public half.",
        ),
        "unseal": (
            "media.sealing.command:unseal",
            "Open an encrypted recording, or its transcript or events.",
        ),
        "demo": ("media.demo.command:demo", "See it work: server and carrier on this machine, half a minute."),
        "keys": ("media.webhooks.command:keys", "Make a key to sign webhooks with, and show its public half."),
        "doctor": ("media.doctor.command:doctor", "Look whether this machine is fit for a server, and what to type."),
        "openapi": ("media.http.command:openapi", "Print the description of the HTTP interface (OpenAPI)."),
        "completion": ("media.terminal.completion:completion", "Print the completion script for bash, zsh or fish."),
        "bench": ("benchmarks.command:bench", "Measure what a packet costs here, how many calls it carries, ..."),
    },
    epilog=_EPILOG,
    context_settings={"max_content_width": 110, "help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="strep")
def strep() -> None:
    """A media server for phone calls: forked RTP and WebSocket audio in, sample-exact recordings out."""


def main() -> None:
    """Run the command line, with the exit codes that `EXIT_CODES` promises."""
    gc.set_threshold(10_000)  # nothing of what imports make is garbage: looking for it took a tenth of a start
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is imported: its threads wait by spinning
    try:
        code = strep.main(prog_name="strep", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    sys.exit(code if isinstance(code, int) else OK)


if __name__ == "__main__":
    main()
