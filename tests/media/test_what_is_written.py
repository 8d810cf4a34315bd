"""Every file that the server writes is its owner's alone, whatever the umask, and lies where it was told to.

One process with all that writes files, `umask 0`, and streams of every dialect under ids that were made to be paths.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import stat
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from media.admission.tokens import new_token, sign
from media.carrier import seeds
from media.carrier.dialects import DIALECTS
from media.carrier.options import SimulationOptions, Transport, WebSocketOptions
from media.carrier.pacing import Instant
from media.carrier.simulation import Simulation, Target
from media.nats.spool import probe
from media.webhooks.signing import make_key
from tests.media.serving import address, serving
from tests.patience import wait_until

pytestmark = pytest.mark.realtime
FILE_NAME = re.compile(r"[A-Za-z0-9._@=+-]{1,255}")
"""What names of calls may become: nothing that a shell, a URL or another system reads as more than a name."""
HOSTILE = (
    "../../../../outside",
    "/outside/x",
    "..",
    ".",
    "a/../../outside",
    "%2e%2e%2foutside",
    "..%5c..%5coutside",
    "~root",
    "-rf",
    "con",
    "x" * 300,
    "x\u202etxt.wav",
    "a;touch outside;b $(touch outside) `touch outside`",
    "é\u0301",
    "*?[x]",
)


@contextmanager
def umask_0() -> Iterator[None]:
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


def stream_to(url: str, stream_id: str, dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send a short stream under an id."""
    monkeypatch.setattr(seeds, "stream_id", lambda seed, call: stream_id)
    options = SimulationOptions(
        Transport.WEBSOCKET, seconds=0.1, websocket=WebSocketOptions(dialect, dtmf="5" if dialect != "tryvox" else "")
    )
    asyncio.run(Simulation(options).run(Target(stream_url=url), Instant()))


def test_with_everything_on_and_ids_that_are_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, key = tmp_path / "home", tmp_path / "key.txt"
    key.write_text(new_token())
    token = new_token()
    make_key(tmp_path / "hook.pem")
    arguments = [
        *("--udp", ":0", "--ws", ":0", "--ws-key-file", str(key), "--ws-token", token, "--http", ":0"),
        *("--udp-legs", "registered", "--state", str(home / "deep" / "state")),
        *("--record", str(home / "deep" / "record"), "--takes", str(home / "deep" / "takes"), "--look-back", "1"),
        *("--detect", "dtmf,voice", "--deliver-format", "wav,flac", "--deliver-to", f"file://{home}/deep/to"),
        *("--webhook", "http://127.0.0.1:9/", "--webhook-spool", str(home / "deep" / "hooks" / "spool")),
        *("--webhook-key", str(tmp_path / "hook.pem")),
        *("--drain-timeout", "0"),
    ]
    before = set(tmp_path.iterdir())
    with umask_0(), serving(*arguments, folder=tmp_path) as (process, addresses):
        ids = [("telnyx", one) for one in HOSTILE] + [(dialect, one) for dialect in DIALECTS for one in HOSTILE[:3]]
        for number, (dialect, hostile) in enumerate(ids):
            shown = token if number else sign(key.read_bytes(), 1 << 40)
            url = f"ws://{addresses['ws']}/{'' if dialect == 'telnyx' else dialect + '/'}{shown}"
            stream_to(url, hostile if dialect == "telnyx" else f"{hostile}{dialect}", dialect, monkeypatch)
        register(addresses["http"], UUID(int=1))
        strep = Simulation(SimulationOptions(seconds=0.2))
        for track in strep.plan().truth().tracks:
            register(addresses["http"], UUID(track.call_leg_id))
        asyncio.run(strep.run(Target(udp=address(addresses["udp"])), Instant()))
        wait_until(lambda: list((home / "deep" / "record").glob("*.json")))
        process.terminate()
        _, errors = process.communicate(timeout=110)
    assert process.returncode == 0, errors
    assert set(tmp_path.iterdir()) == before | {home}
    written = sorted(home.rglob("*"))
    for ending in (".wav", ".json", ".events.jsonl", ".flac"):
        assert any(path.name.endswith(ending) for path in written), ending
    folders = {path.name for path in written if path.is_dir()}
    assert {"deep", "state", "legs", "tokens", "record", "takes", "to", "hooks", "spool"} <= folders
    for path in (home, *written):
        check(path)
    assert "Traceback" not in errors


def test_the_spool_of_nats_and_what_is_made_above_it(tmp_path: Path) -> None:
    with umask_0():
        probe(tmp_path / "deep" / "nats")
    for path in tmp_path.rglob("*"):
        check(path)


def check(path: Path) -> None:
    """Check who may read it, and what it is called."""
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        assert path.parent.name in ("legs", "tokens")
        assert "/" not in os.readlink(path)
    else:
        assert stat.S_IMODE(found.st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert FILE_NAME.fullmatch(path.name), path
    assert path.name not in (".", "..")


def register(netloc: str, leg: UUID) -> None:
    sent = json.dumps({"call_leg_id": str(leg)}).encode()
    with urllib.request.urlopen(f"http://{netloc}/v1/legs", sent, timeout=60) as reply:
        assert reply.status == 201
