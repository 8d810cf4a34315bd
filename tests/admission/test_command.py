"""``strep token``: what it makes lets a stream in, and one only."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from media.admission.command import token
from media.admission.configured import gate_of
from media.admission.tokens import Verdict
from media.config import Endpoint, ServerConfig
from strep.clock import SystemClock


def make(*arguments: str) -> str:
    result = CliRunner().invoke(token, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_what_it_makes_is_good(tmp_path: Path) -> None:
    tokens, key, now_ns = tmp_path / "tokens.txt", tmp_path / "key.txt", SystemClock().wall_ns()
    tokens.write_text(make() + make())
    key.write_text(make())
    gate = gate_of(ServerConfig(ws=Endpoint("0.0.0.0", 0), ws_token_file=tokens, ws_key_file=key))
    assert gate is not None
    for line in tokens.read_text().split():
        assert gate.judge([line], now_ns, "s1") is Verdict.GOOD
    signed = make("--key-file", str(key), "--valid", "1h").strip()
    assert gate.judge([signed], now_ns, "s2") is Verdict.GOOD
    assert gate.judge([signed], now_ns, "s3") is Verdict.USED
    assert gate.judge([signed], now_ns + 3602 * 10**9, "s2") is Verdict.EXPIRED


def test_mistakes_are_told(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("")
    for arguments, text in (
        (["--key-file", str(tmp_path / "none")], "No such file"),
        (["--key-file", str(empty), "--valid", "soon"], "--valid"),
    ):
        result = CliRunner().invoke(token, arguments)
        assert result.exit_code == 2
        assert text in result.output
