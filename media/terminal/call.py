"""Shell: ``strep call``: shows a live call, or does something to it."""

from __future__ import annotations

from typing import Any

import click

from media.cli import HintingGroup
from media.terminal import listening, sounding
from media.terminal.client import Door, server_options
from media.terminal.completion import CALL_ID
from media.terminal.errand import Errand

_EPILOG = """\b
Examples:
  What is going on in the newest call:
    strep call any
  Play a file, and wait until it was heard; a text, twice as loud:
    strep call 5b0f play greeting.mp3 --wait
    strep call 5b0f speak "One moment, please." --volume 6
  Ask for four digits, and have them in a variable of the shell:
    pin=$(strep call any gather --max 4 --prompt "Your PIN, please.")
  Record from here on, and know where the file is when it is closed:
    strep call any record start --format mp3 --wait

\b
ID is that of a live call, or as much of its beginning as only one has, or any
(or -): the newest. `strep calls` lists them; see `strep completion` for ids at
the press of a key. On standard output is what programs want: ids, digits, paths;
what people want is on standard error. --json prints the server's answer, and
the event that was waited for, a JSON object on a line each.

\b
Exit codes:
  0    done; with --wait: played to its end, digits that are valid, recording closed
  1    failed: no server, the server refuses, the file cannot be played
  2    a command or option that cannot be
  3    it ended otherwise: stopped, cleared, no digits in time, digits that are not valid
  4    the call ended before
  5    there is no such call, or more than one begins so
  130  interrupted; what was waited for is stopped
"""


class CallGroup(HintingGroup):
    """Takes options of its own behind the ID as well: ``strep call ID --json``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what is there before the action's name, then leave the rest to the action."""
        takes_value = {name for param in self.params if isinstance(param, click.Option) and not param.is_flag
                       for name in param.opts}  # fmt: skip
        options: list[str] = []
        words: list[str] = []
        rest = list(args)
        while rest and (not words or rest[0].startswith("-")):
            word = rest.pop(0)
            if not word.startswith("-") or word == "-":
                words.append(word)
                continue
            options.append(word)
            if word in takes_value and rest:
                options.append(rest.pop(0))
        return super().parse_args(ctx, [*options, *words, *rest])


@click.group(
    cls=CallGroup,
    invoke_without_command=True,
    no_args_is_help=True,
    subcommand_metavar="[ACTION [ARGS]...]",
    epilog=_EPILOG,
    context_settings={"max_content_width": 100},
)
@click.argument("call_id", metavar="ID", type=CALL_ID)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@server_options
@click.pass_context
def call(ctx: click.Context, call_id: str, as_json: bool, url: str, token: str) -> None:
    """Show a live call, or do something to it: play, speak, ask for digits, record, end it, ..."""
    ctx.obj = errand = Errand(Door(url, token), call_id, as_json=as_json)
    if ctx.invoked_subcommand is None:
        _show(errand)


def _show(errand: Errand) -> None:
    import json

    # A list of calls says less of each than the call itself does.
    found: dict[str, Any] = Errand(errand.door, errand.find()["call_id"]).find()
    if errand.as_json:
        click.echo(json.dumps(found, indent=2))
        return
    from rich.console import Console

    from media.terminal.show import picture_of

    console = Console(highlight=False, markup=False, emoji=False)
    console.print(picture_of(found, console.width))


for action in (*sounding.ACTIONS, *listening.ACTIONS):
    call.add_command(action)
