"""What docs/terminal.md says is so: its commands are understood, and all actions are named."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from media.cli import strep
from media.terminal.board import NEWEST_CALLS, PAGE_CALLS
from media.terminal.call import call

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "terminal.md").read_text(encoding="utf-8")


def test_commands_are_understood() -> None:
    lines = re.findall(r"^\$ \.venv/bin/strep (.*)$", PAGE, re.MULTILINE)
    assert len(lines) > 5
    for line in lines:
        words = shlex.split(line.partition(">")[0])
        _, command, rest = strep.resolve_command(strep.make_context("strep", list(words)), list(words))
        assert command is not None
        context = command.make_context(words[0], rest, resilient_parsing=True)
        if words[0] == "call" and len(words) > 2:
            _, action, more = call.resolve_command(context, words[2:])
            assert action is not None
            action.make_context(words[2], more, parent=context, resilient_parsing=True)


def test_actions_and_bounds() -> None:
    assert all(f"`{name}" in PAGE for name in call.commands)
    assert f"at most {PAGE_CALLS + NEWEST_CALLS} calls a second" in PAGE
