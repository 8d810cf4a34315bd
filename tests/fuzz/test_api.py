"""The HTTP interface against its own description, by schemathesis: no error of the server, no answer that it does not
describe, whatever is sent. A real server with a simulated call that goes on.

The short form is a peer test; ``make fuzz-api`` is the long one, and installs what both need into ``.api``.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.control.acting import wav
from tests.control.called import calling
from tests.media.serving import ENVIRONMENT

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / ".api" / "site"
IS_LONG = os.environ.get("STREP_FUZZ") == "long"
EXAMPLES = int(os.environ.get("EXAMPLES", "300" if IS_LONG else "3"))
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "negative_data_rejection,unsupported_method"
)
STREAMS = "^/v1/(events|watch|pcm|calls/{call_id}/pcm)$"
"""They never end, or are no plain HTTP."""
ENDING = "/actions/hangup$"
"""Would leave nothing to ask of."""

pytestmark = [
    pytest.mark.peer,
    pytest.mark.realtime,
    pytest.mark.skipif(not (SITE / ".installed").exists(), reason="no schemathesis here: make peers"),
]


def tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = ENVIRONMENT | {"PYTHONPATH": str(SITE), "NO_COLOR": "1", "COLUMNS": "160"}
    return subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, env=environment, cwd=SITE, check=False
    )


async def test_the_description_is_one(tmp_path: Path) -> None:
    from media.http.openapi import document

    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document()))
    result = await asyncio.to_thread(tool, "openapi_spec_validator", "--schema", "3.1", str(path))
    assert result.returncode == 0, result.stdout + result.stderr


async def test_it_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "0").write_bytes(wav(800))
    # Names that are looked up on the internet would take their time, and be somebody's.
    monkeypatch.setattr("media.talk.sources.urls._connected", nowhere)
    (tmp_path / "schemathesis.toml").write_text('[parameters]\n"path.call_id" = "s1"\n')
    async with asyncio.timeout(None if IS_LONG else 600):
        async with calling(record=tmp_path / "recordings", http_recordings="on", media=tmp_path / "media") as (
            acted,
            _,
        ):
            result = await asyncio.to_thread(
                tool,
                "schemathesis.cli",
                "--config-file",
                str(tmp_path / "schemathesis.toml"),
                "run",
                f"http://{acted.server.addresses['http']}/openapi.json",
                f"--max-examples={EXAMPLES}",
                f"--checks={CHECKS}",
                "--phases=examples,coverage,fuzzing" if IS_LONG else "--phases=fuzzing",
                f"--exclude-path-regex={STREAMS}|{ENDING}",
                "--seed=1",
                "--generation-database=none",
                "--request-timeout=60",
            )
            assert (await acted.ask("/v1/calls/s1"))[0] == 200
    sys.stdout.write(result.stdout)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"generated", result.stdout)


def nowhere(*arguments: object, **options: object) -> list[object]:
    raise OSError("no such host")
