"""What the Dockerfile promises, as far as it can be seen without building an image: nobody can, where CI runs.

The wheel that an image would have runs in a mount namespace whose root is read-only, with what the Dockerfile sets.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from media.carrier.options import SimulationOptions
from media.carrier.simulation import Simulation, Target
from tests.media.serving import ENVIRONMENT, address

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
READ_ONLY = (
    "mount --make-rprivate / && mount --bind {data} {data} && mount -t tmpfs tmpfs /dev/shm && "
    "mount -o remount,bind,ro / && ! touch {outside} 2>/dev/null && exec {command}"
)


def may_unshare() -> bool:
    command = ["unshare", "-m", "mount", "--make-rprivate", "/"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def words(instruction: str) -> list[str]:
    """Return what the last stage says behind each such instruction."""
    joined = DOCKERFILE.replace("\\\n", " ").rpartition("\nFROM ")[2]
    return re.findall(rf"^{instruction} (.*)$", joined, re.MULTILINE)


def environment() -> dict[str, str]:
    return dict(word.split("=", 1) for line in words("ENV") for word in shlex.split(line) if "=" in word)


class TestDockerfile:
    def test_who_runs_it(self) -> None:
        """By number: who checks for it (runAsNonRoot) cannot look names up."""
        [user] = words("USER")
        assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)

    def test_no_shell_is_needed(self) -> None:
        assert json.loads(words("ENTRYPOINT")[0]) == ["strep", "serve"]
        [check] = words("HEALTHCHECK")
        assert json.loads(check.partition(" CMD ")[2])[0] == "python"
        assert words("RUN") == []
        assert words("STOPSIGNAL") == ["SIGTERM"]

    def test_everything_that_is_installed_has_a_hash(self) -> None:
        installs = re.findall(r"pip install ([^\n\\&]*)", DOCKERFILE)
        for given in installs:
            assert "--require-hashes" in given or given.split() == ["--no-deps", "/wheels/*.whl"], given
        for name in re.findall(r"requirements/\w+\.txt", DOCKERFILE):
            text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
            lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
            assert lines
            assert all("==" in line and "--hash=sha256:" in line for line in lines), name

    def test_the_base_can_be_pinned(self) -> None:
        assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${BASE}"}


@pytest.mark.realtime
@pytest.mark.skipif(not may_unshare(), reason="may not make a mount namespace here")
def test_it_records_a_call_with_a_read_only_root(tmp_path: Path) -> None:
    data, wheels, installed = tmp_path / "data", tmp_path / "wheels", tmp_path / "installed"
    data.mkdir()
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(wheels),
        str(ROOT),
    ]
    subprocess.run(build, check=True, capture_output=True)
    [wheel] = wheels.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(installed)
    settings = {name: value for name, value in environment().items() if name != "PATH"}
    settings |= {"STREP_UDP": ":0", "STREP_WS": "127.0.0.1:0", "STREP_HTTP": ":0", "STREP_RECORD": str(data)}
    settings |= {
        "PYTHONPATH": str(installed),
        "HOME": str(data),
        "TMPDIR": str(data),
    }  # /tmp is a tmpfs in a container
    command = f"{shlex.quote(sys.executable)} -m media.cli serve --drain-timeout 0"
    script = READ_ONLY.format(data=data, outside=tmp_path / "outside", command=command)
    process = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", script],
        cwd=data,
        env=ENVIRONMENT | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        word, _, said = process.stdout.readline().partition(" ")
        assert word == "ready", process.communicate()[1]
        addresses = json.loads(said)
        healthy = json.loads(words("HEALTHCHECK")[0].partition(" CMD ")[2])
        where = os.environ | {"STREP_HTTP": addresses["http"]}
        assert subprocess.run([sys.executable, *healthy[1:]], env=where, check=False).returncode == 0
        target = Target(udp=address(addresses["udp"]))
        asyncio.run(Simulation(SimulationOptions(seconds=0.5)).run(target))
        while not list(data.glob("*.json")):
            assert process.poll() is None
            asyncio.run(asyncio.sleep(0.05))
        process.terminate()
        _, errors = process.communicate(timeout=100)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, errors
    [sidecar] = data.glob("*.json")
    assert json.loads(sidecar.read_text())["state"] == "complete"
    assert "Read-only" not in errors
    assert subprocess.run([sys.executable, *healthy[1:]], env=where, check=False, capture_output=True).returncode != 0
