"""Completion: what bash offers, and that it costs little."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pytest
from click.testing import CliRunner

from media import cli
from media.terminal.completion import MOST_CALLS, SHELLS
from media.terminal.printable import is_safe_word
from tests.media.serving import ENVIRONMENT
from tests.patience import PATIENCE_S
from tests.terminal.fake import FakeServer, call_of, fake_server

BASH = """
{script}
COMP_WORDS=({words})
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
compopt() {{ :; }}
_strep_completion strep
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with fake_server() as fake:
        fake.calls = [call_of("alpha-1"), call_of("beta-2"), call_of("$(reboot)"), call_of("x y"), call_of("a:b")]
        yield fake


def script(shell: str) -> str:
    result = CliRunner().invoke(cli.strep, ["completion", shell])
    assert result.exit_code == cli.OK
    return result.output


@pytest.mark.skipif(which("bash") is None, reason="no bash here")
class TestBash:
    """Asks bash itself, with a `strep` in its path."""

    def offered(self, words: str, folder: Path, url: str = "http://127.0.0.1:9") -> list[str]:
        program = folder / "strep"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m media.cli "$@"\n')
        program.chmod(0o755)
        environment = ENVIRONMENT | {"PATH": f"{folder}:{ENVIRONMENT['PATH']}", "STREP_URL": url}
        result = subprocess.run(
            ["bash", "--norc", "-c", BASH.format(script=script("bash"), words=words)],
            capture_output=True, text=True, env=environment, cwd=Path(__file__).parent.parent.parent,
            timeout=PATIENCE_S, check=True,
        )  # fmt: skip
        assert not result.stderr
        return result.stdout.split()

    def test_commands(self, tmp_path: Path) -> None:
        assert self.offered("strep ca", tmp_path) == ["calls", "call"]

    @pytest.mark.parametrize("command", ["call", "tap"])
    def test_live_calls_that_a_shell_may_have(self, server: FakeServer, command: str, tmp_path: Path) -> None:
        assert self.offered(f"strep {command} ''", tmp_path, server.url) == ["any", "a:b", "beta-2", "alpha-1"]

    def test_actions_and_their_options(self, server: FakeServer, tmp_path: Path) -> None:
        assert self.offered("strep call al re", tmp_path) == ["record", "resume"]
        assert self.offered("strep call any record start --be", tmp_path) == ["--beep"]
        assert not server.asked

    def test_nobody_answers(self, tmp_path: Path) -> None:
        assert self.offered("strep call a", tmp_path) == ["any"]


@pytest.mark.parametrize("shell", SHELLS)
def test_there_is_a_script(shell: str) -> None:
    assert "_STREP_COMPLETE" in script(shell)


def test_of_many_calls_the_newest(server: FakeServer) -> None:
    from media.terminal.completion import _newest

    server.calls = [call_of(str(number)) for number in range(3 * MOST_CALLS)]
    found = [call["call_id"] for call in _newest(server.url, "")]
    assert found == [str(number) for number in range(3 * MOST_CALLS - 1, 2 * MOST_CALLS - 1, -1)]


@pytest.mark.parametrize("text", ["$(x)", "`x`", "a b", "a;b", "-x", "", "a\n", "~x", "é", "a'", "*", "a\\"])
def test_words_that_a_shell_would_not_take_as_they_are(text: str) -> None:
    assert not is_safe_word(text)


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        ("strep ca", {"media.serve", "numpy", "rich", "asyncio", "media.terminal.call", "urllib.request"}),
        ("strep call any pl", {"media.serve", "numpy", "rich", "asyncio", "urllib.request"}),
    ],
)
def test_a_press_of_the_tabulator_imports_little(arguments: str, absent: set[str]) -> None:
    words = arguments.split()
    program = (
        "import sys\nfrom media.cli import strep\n"
        "from click.shell_completion import BashComplete\n"
        f"found = BashComplete(strep, {{}}, 'strep', 'X').get_completions({words[1:-1]}, {words[-1]!r})\n"
        f"assert found\nprint(*({sorted(absent)} & sys.modules.keys()))".replace(f"{sorted(absent)}", f"{absent}")
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
