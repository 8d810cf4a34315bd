"""What docs/encryption.md says is so: its reader, which shares nothing with ours, reads what we write."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.options import BY_NAME
from media.sealing.records import Kind
from media.sinks.audio_files import create, reopen
from media.sinks.sealed_edits import edit
from media.sinks.wav import Encoding
from tests.media.serving import ENVIRONMENT, serving
from tests.patience import PATIENCE_S
from tests.sealing.people import ALICE, FOR_ALICE, heard
from tests.sinks.waves import noise, play

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "encryption.md").read_text(encoding="utf-8")


@pytest.mark.peer
@pytest.mark.skipif(shutil.which("age") is None, reason="age is not installed: make peers")
@pytest.mark.parametrize("is_cut", [False, True])
def test_the_reader_reads(tmp_path: Path, is_cut: bool) -> None:
    [program] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "read_sealed.py").write_text(program)
    (tmp_path / "private.key").write_text(ALICE.reveal())
    file: Any = create(tmp_path, "call", Encoding.PCM16, 8000, FOR_ALICE)
    file.write(0, noise(Encoding.PCM16, 9000))
    file.patch(1, 8500, noise(Encoding.PCM16, 1000)[:, 0])
    file.let_go()
    file = reopen(file.path, FOR_ALICE)
    file.write(12_000, noise(Encoding.PCM16, 100))
    file.extend(13_000)
    file.close()
    edit(file.path, FOR_ALICE, [(10, 20), (500, 100)], None)
    if is_cut:
        file.path.write_bytes(file.path.read_bytes()[:-5])
    command = [sys.executable, "read_sealed.py", file.path.name, "private.key", "call.wav"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.stdout, done.stderr) == ("unfinished\n" if is_cut else "complete\n", "")
    assert np.array_equal(play(tmp_path / "call.wav"), heard(file.path))


@pytest.mark.realtime
def test_the_commands_make_keys_serve_and_open(tmp_path: Path) -> None:
    """The three lines of the page, with a call between the second and the third."""
    block = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)[0]
    keygen, serve, unseal = (line.removeprefix("$ .venv/bin/strep ").split() for line in block.splitlines())

    def strep(*arguments: str) -> str:
        command = [sys.executable, "-m", "media.cli", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=ENVIRONMENT, check=True, capture_output=True, text=True, timeout=PATIENCE_S
        )
        return done.stdout

    public = strep(*keygen).strip()
    assert public.startswith("age1")
    recipient = [public if word == "age1..." else word for word in serve[1:]]
    arguments = [word.replace(":9000", ":0") for word in recipient]
    with serving(*arguments, folder=tmp_path) as (process, addresses):
        strep("simulate", "--udp", addresses["udp"], "--calls", "2", "--seconds", "1")
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    names = sorted(path.name for path in (tmp_path / "recordings").iterdir())
    assert [name.partition(".")[2] for name in names] == ["json", "wav.sealed"] * 2
    for path in (tmp_path / "recordings").glob("*.sealed"):
        strep(*(f"recordings/{path.name}" if "CALL" in word else word for word in unseal))
        audio = play(path.with_suffix(""))
        assert audio.shape[1] == 2
        assert len(audio) >= 7200
        assert np.abs(audio.astype(int)).max() > 1000, "somebody is heard"


def test_every_kind_of_record_is_in_the_table() -> None:
    assert re.findall(r"^\| (\d) (\w+) \|", PAGE, re.MULTILINE) == [
        (str(kind.value), kind.name.lower()) for kind in Kind
    ]


def test_options_are_options() -> None:
    named = set(re.findall(r"`--([a-z-]+)[ `]", PAGE)) - {"about", "key", "strict"}  # of strep keygen and unseal
    assert named <= {name.replace("_", "-") for name in BY_NAME}
    assert {"encrypt-to", "deliver-to", "nats-spool", "webhook-spool"} <= named
