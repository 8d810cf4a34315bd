"""`media.cli`: the overview, typing errors, exit codes, and that help costs nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from media import cli
from strep import __version__
from strep.errors import ConfigurationError

COMMANDS = ("serve", "simulate", "inspect", "replay", "demo", "doctor")


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(cli.strep, arguments, prog_name="strep")


class TestOverview:
    @pytest.mark.parametrize("flag", ["--help", "-h"])
    def test_help(self, flag: str) -> None:
        result = run(flag)
        assert result.exit_code == cli.OK
        for name in COMMANDS:
            assert re.search(rf"^  {name} +\S", result.output, re.MULTILINE)
        assert "Examples:" in result.output
        assert "Exit codes:" in result.output

    def test_version(self) -> None:
        assert run("--version").output == f"strep, version {__version__}\n"

    def test_nothing_heavy_is_imported_for_it(self) -> None:
        code = (
            "import sys\nfrom media.cli import main\nsys.argv = ['strep', '--help']\n"
            "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
            "heavy = {'numpy', 'asyncio', 'rich', 'websockets', 'matplotlib', 'soundfile'} & set(sys.modules)\n"
            "sys.exit(f'imported: {heavy}' if heavy else 0)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def test_is_installed_under_its_name(self) -> None:
        (script,) = entry_points(group="console_scripts", name="strep")
        assert script.load() is cli.main


class TestCommands:
    @pytest.mark.parametrize("name", COMMANDS)
    def test_each_can_be_imported_and_explains_itself(self, name: str) -> None:
        result = run(name, "--help")
        assert result.exit_code == cli.OK
        assert result.output.startswith(f"Usage: strep {name}")
        assert "Examples:" in result.output


class TestTypingErrors:
    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["sevre"], "No such command: sevre. Did you mean serve?"),
            (["simulator"], "Did you mean simulate?"),
            (["xyzzy"], "There are serve, simulate, calls, call, tail, tap, cdr, inspect, replay, "),
            (["serve", "--upd", ":9000"], "'--udp'"),
            (["serve", "--idel-timeout", "3"], "--idle-timeout"),
            (["demo", "--second", "3"], "--seconds"),
            (["--verison"], "--version"),
        ],
    )
    def test_is_told_what_was_meant(self, arguments: list[str], says: str) -> None:
        result = run(*arguments)
        assert result.exit_code == cli.MISUSED
        assert says in result.output

    def test_a_configuration_that_cannot_be_is_one_line(self) -> None:
        result = run("serve", "--udp", "9000")
        assert result.exit_code == cli.MISUSED
        assert result.output.startswith("Error: udp (flag --udp): '9000' is not HOST:PORT")
        assert result.output.count("\n") == 1


class TestMain:
    @pytest.mark.parametrize(
        ("raised", "code", "says"),
        [
            (None, cli.OK, ""),
            (click.ClickException("address in use"), cli.FAILED, "Error: address in use\n"),
            (click.UsageError("no"), cli.MISUSED, "Error: no\n"),
            (ConfigurationError("udp: no"), cli.MISUSED, "Error: udp: no\n"),
            (click.Abort(), cli.INTERRUPTED, "interrupted\n"),
            (KeyboardInterrupt(), cli.INTERRUPTED, "interrupted\n"),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_exit_codes(
        self,
        raised: BaseException | None,
        code: int,
        says: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        def act(**_: Any) -> None:
            if raised:
                raise raised

        monkeypatch.setattr(sys, "argv", ["strep", "act"])
        monkeypatch.setitem(cli.strep._homes, "act", ("", ""))
        monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: click.Command("act", callback=act))
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == code
        assert capsys.readouterr().err.endswith(says)

    def test_every_exit_code_is_documented(self) -> None:
        documented = set(re.findall(r"^  (\d+) ", cli.EXIT_CODES, re.MULTILINE))
        assert documented == {str(code) for code in (cli.OK, cli.FAILED, cli.MISUSED, cli.INTERRUPTED)}


def test_the_file_can_be_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "media.cli", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert __version__ in done.stdout
