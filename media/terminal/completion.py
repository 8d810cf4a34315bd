"""Completion in shells: ids of live calls, and ``strep completion``, which prints the script that a shell needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from media.terminal.client import ANY_CALL, DEFAULT_URL, Door
from media.terminal.printable import is_safe_word, printable

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    _ParamType = click.ParamType[str]
else:
    _ParamType = click.ParamType  # not generic before click 8.3

SHELLS = ("bash", "zsh", "fish")
ANSWER_S = 1.0
"""Somebody has pressed a key and waits."""
MOST_CALLS = 250
VARIABLE = "_STREP_COMPLETE"
_EPILOG = """\b
Install it for yourself, then open a new terminal:
  bash (needs the package bash-completion):
    mkdir -p ~/.local/share/bash-completion/completions
    strep completion bash > ~/.local/share/bash-completion/completions/strep
  zsh (with fpath=(~/.zfunc $fpath) before compinit in ~/.zshrc):
    mkdir -p ~/.zfunc
    strep completion zsh > ~/.zfunc/_strep
  fish:
    mkdir -p ~/.config/fish/completions
    strep completion fish > ~/.config/fish/completions/strep.fish
Or for this terminal only:
  source <(strep completion bash)

\b
Ids of live calls are those of the server at STREP_URL (STREP_HTTP_TOKEN), which
is asked at each press of the tabulator, for a second at the most.
"""


class CallId(_ParamType):
    """A call's id; in a shell, one of those that are live."""

    name = "call"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return live calls, the newest first; nothing, if nobody answers."""
        from click.shell_completion import CompletionItem

        any_call = CompletionItem(ANY_CALL[1], help="the newest")
        found = [any_call] if ANY_CALL[1].startswith(incomplete) else []
        for call in _newest(ctx.params.get("url") or DEFAULT_URL, ctx.params.get("token") or ""):
            call_id = str(call.get("call_id", ""))
            # An id is chosen by whoever calls, and a shell runs what stands in its line.
            if call_id.startswith(incomplete) and is_safe_word(call_id):
                found.append(CompletionItem(call_id, help=_about(call)))
        return found


CALL_ID = CallId()


def _newest(url: str, token: str) -> list[dict[str, Any]]:
    door = Door(url, token, ANSWER_S)
    try:
        total, calls = door.page(limit=MOST_CALLS)
        if total > len(calls):
            _, calls = door.page(total - MOST_CALLS, MOST_CALLS)
    except (click.ClickException, KeyError, TypeError):
        return []
    return calls[::-1]


def _about(call: dict[str, Any]) -> str:
    tracks, rate_hz = call.get("tracks", ()), call.get("sample_rate_hz", 8000)
    seconds = max((track.get("length_samples", 0) for track in tracks), default=0) / rate_hz
    return printable(f"{call.get('door', '')}, {seconds:.0f} s").replace(",", ";")


@click.command(epilog=_EPILOG, context_settings={"max_content_width": 100})
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands, options and ids of live calls in a shell."""
    from click.shell_completion import get_completion_class

    script = get_completion_class(shell)
    assert script is not None
    click.echo(script(ctx.find_root().command, {}, "strep", VARIABLE).source())
