"""`strep keygen` and `strep unseal`: what they print, what they write, and their exit codes."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from media import cli
from media.sealing.keys import Recipient, parse_recipient, read_identities
from media.sealing.opening import Opened
from media.sinks.audio_files import create
from media.sinks.wav import Encoding
from tests.patience import PATIENCE_S
from tests.sealing.people import in_clear
from tests.sinks.waves import noise, play


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.strep, [str(argument) for argument in arguments])


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return tmp_path / "private.key"


@pytest.fixture
def recipient(key: Path) -> Recipient:
    done = run("keygen", key)
    assert done.exit_code == 0
    return parse_recipient(done.output.strip())


@pytest.fixture
def call(tmp_path: Path, recipient: Recipient) -> Path:
    file = create(tmp_path, "call", Encoding.PCM16, 8000, (recipient,))
    file.write(0, noise(Encoding.PCM16, 12_000))
    file.describe({"call_id": "call", "events": [{"digit": "5"}]})  # type: ignore[union-attr]
    file.close()
    return file.path


def test_keygen_shows_the_same_key_again(key: Path, recipient: Recipient) -> None:
    before = key.read_bytes()
    assert run("keygen", key).output.strip() == str(recipient)
    assert key.read_bytes() == before
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_keygen_where_nothing_can_be_written(tmp_path: Path) -> None:
    done = run("keygen", tmp_path / "no" / "key")
    assert (done.exit_code, "cannot write" in done.output) == (1, True)


def test_a_recording_is_opened_beside_it(call: Path, key: Path) -> None:
    done = run("unseal", call, "--key", key)
    assert (done.exit_code, done.output) == (0, "")
    opened = call.with_name("call.wav")
    assert (play(opened) == noise(Encoding.PCM16, 12_000)).all()
    assert stat.S_IMODE(opened.stat().st_mode) == 0o600
    again = run("unseal", call, "--key", key)
    assert (again.exit_code, "exists" in again.output) == (1, True), "nothing is overwritten"


def test_what_was_sealed_beside_the_audio(call: Path, key: Path) -> None:
    done = run("unseal", call, "--key", key, "--about")
    assert json.loads(done.output)["events"] == [{"digit": "5"}]
    assert not call.with_name("call.wav").exists()


def test_a_cut_one_is_opened_as_far_as_it_goes(call: Path, key: Path) -> None:
    call.write_bytes(call.read_bytes()[:-1])
    done = run("unseal", call, "--key", key)
    assert done.exit_code == 3
    assert "unfinished: it ends after 1.50 s" in done.output
    assert len(play(call.with_name("call.wav"))) == 12_000


def test_with_the_wrong_key_nothing_is_written(call: Path, tmp_path: Path) -> None:
    run("keygen", tmp_path / "other")
    done = run("unseal", call, "--key", tmp_path / "other")
    assert (done.exit_code, "none of the keys fits" in done.output) == (1, True)
    assert not call.with_name("call.wav").exists()


@pytest.fixture
def altered(call: Path) -> Path:
    """The second half second, sealed in a record of its own, is not what was written."""
    content = bytearray(call.read_bytes())
    content[-1000] ^= 1
    call.write_bytes(content)
    return call


def test_of_what_was_altered_the_rest_is_written_and_a_list(altered: Path, key: Path) -> None:
    done = run("unseal", altered, "--key", key)
    assert (done.exit_code, "is not what was written; silent from 1.00 s on for 0.50 s" in done.output) == (4, True)
    expected = noise(Encoding.PCM16, 12_000).copy()
    expected[8000:] = 0
    assert (play(altered.with_name("call.wav")) == expected).all()
    told = json.loads((there := altered.with_name("call.wav.damage.json")).read_bytes())
    assert (told["file"], told["sample_rate_hz"]) == ("call.wav.sealed", 8000)
    assert [(one["start_samples"], one["length_samples"]) for one in told["damage"]] == [(8000, 4000)]
    assert stat.S_IMODE(there.stat().st_mode) == 0o600
    assert run("unseal", altered, "--key", key).exit_code == 1, "nothing is overwritten"


def test_or_nothing_is_written_of_it(altered: Path, key: Path) -> None:
    done = run("unseal", altered, "--key", key, "--strict")
    assert (done.exit_code, "is not what was written" in done.output) == (1, True)
    assert not list(altered.parent.glob("call.wav*[!d]"))


def test_into_a_pipe_it_is_told_beside(altered: Path, key: Path) -> None:
    command = [sys.executable, "-m", "media.cli", "unseal", str(altered), "--key", str(key), "-o", "-"]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stdout) == (4, _opened(altered, key))
    assert b"is not what was written" in done.stderr
    assert not altered.with_name("call.wav.damage.json").exists()


def test_much_damage_is_told_in_few_lines(call: Path, key: Path, recipient: Recipient) -> None:
    file = create(call.parent, "many", Encoding.PCM16, 8000, (recipient,))
    for first in range(0, 1000, 10):
        file.write(first, noise(Encoding.PCM16, 10))
    file.close()
    content = bytearray(file.path.read_bytes())
    with Opened(file.path, read_identities(key)) as opened:
        for record in opened._records[:80:2]:
            content[record.end - 1] ^= 1
    file.path.write_bytes(content)
    done = run("unseal", file.path, "--key", key)
    assert (done.exit_code, len(done.output.splitlines())) == (4, 21)
    assert "and in 20 more places" in done.output
    assert len(json.loads(file.path.with_name("many.wav.damage.json").read_bytes())["damage"]) == 40


def test_other_files(tmp_path: Path, key: Path, recipient: Recipient) -> None:
    other = tmp_path / "a.sealed"
    other.write_bytes(b"RIFF" + bytes(100))
    assert "no sealed file" in run("unseal", other, "--key", key).output
    assert "No such file" in run("unseal", tmp_path / "b.sealed", "--key", key).output
    assert "does not end in .sealed" in run("unseal", key, "--key", key).output
    assert "no key" in run("unseal", other, "--key", "/dev/null").output
    assert str(recipient).startswith("age1")


def test_into_a_pipe(call: Path, key: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "media.cli", "unseal", str(call), "--key", str(key), "-o", "-"]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=True)
    assert (done.stdout, done.stderr) == (_opened(call, key), b"")
    shell = f"'{sys.executable}' -m media.cli unseal '{call}' --key '{key}' -o - | head -c 10 | wc -c"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, timeout=PATIENCE_S, check=True)
    assert (done.stdout.strip(), done.stderr) == (b"10", b""), "who has seen enough may go"


def _opened(call: Path, key: Path) -> bytes:
    return in_clear(call, read_identities(key)[0])
