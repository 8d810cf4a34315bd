"""What docs/listening.md says of webhooks is so: its receiver takes what its server posts, its table is whole."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from media.webhooks.options import WEBHOOK_OPTIONS
from tests.media.serving import ENVIRONMENT, serving
from tests.webhooks.receiver import free_port
from tests.webhooks.test_envelope import TYPES

ROOT = Path(__file__).resolve().parent.parent
WHOLE = (ROOT / "docs" / "listening.md").read_text(encoding="utf-8")
PAGE = WHOLE.partition("\n## Webhooks\n")[2].partition("\n## ")[0]


def console() -> list[list[str]]:
    [block] = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    return [shlex.split(line.removeprefix("$ ")) for line in block.splitlines()]


@pytest.mark.realtime
def test_the_receiver_verifies_and_prints_what_happens(tmp_path: Path) -> None:
    [program] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    with free_port() as port:
        (tmp_path / "receiver.py").write_text(program.replace("9002", str(port)))
    receive, serve, simulate = console()
    assert receive[-1] == "$(.venv/bin/strep keys webhook.pem)"
    strep = [sys.executable, "-m", "media.cli"]
    made = subprocess.run(
        [*strep, "keys", "webhook.pem"], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, check=True
    )
    command = [sys.executable, "receiver.py", made.stdout.decode().strip()]
    receiver = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        options = [word.replace("9001", "0").replace("9002", str(port)) for word in serve[2:]]
        with serving(*options, folder=tmp_path) as (process, addresses):
            words = [word.replace("127.0.0.1:9001", addresses["ws"]) for word in simulate[1:]]
            subprocess.run([*strep, *words], env=ENVIRONMENT, capture_output=True, check=True)
            assert receiver.stdout is not None
            lines = [receiver.stdout.readline().split() for _ in range(3)]
            process.terminate()
            process.wait()
    finally:
        receiver.kill()
        receiver.communicate()
    assert lines == [["streaming.started"], ["call.dtmf.received", "5"], ["streaming.stopped"]]


def test_the_table_has_all_types() -> None:
    listed = {
        name for row in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE) for name in re.findall(r"`(.*?)`", row)
    }
    assert listed == {name for name in TYPES if not name.startswith("strep.")} | {"strep.NAME"}


def test_every_option_is_there() -> None:
    assert [option.flag for option in WEBHOOK_OPTIONS if f"`{option.flag}" not in PAGE] == []
