"""Recordings over HTTP."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from media.page.catalogue import Catalogue
from strep.clock import ManualClock
from tests.http.door import hall
from tests.http.test_openapi import judge
from tests.page.test_catalogue import record
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.realtime


def fetch(url: str, **headers: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=PATIENCE_S) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


async def test_where_they_are_off() -> None:
    async with hall() as found:
        for path in ("", "/a/audio", "/a/sidecar", "/a/peaks", "/a/events"):
            status, said, _ = await found.get(f"/v1/recordings{path}")
            assert (status, said["error"]["code"]) == (501, "recordings_off")
        assert (await found.get("/v1/page"))[1]["recordings"] is False


async def test_list_sidecar_audio_and_waveform(tmp_path: Path) -> None:
    record(tmp_path, "a", mtime=1)
    record(tmp_path, "b", mtime=2)
    (tmp_path / "a.events.jsonl").write_text('{"event": "dtmf"}\n')
    content = (tmp_path / "a.wav").read_bytes()
    async with hall(recordings=Catalogue([tmp_path], ManualClock())) as found:
        _, said, _ = await found.get("/v1/recordings?limit=1&offset=1")
        judge("/v1/recordings", 200, said)
        assert (said["total"], [one["name"] for one in said["recordings"]]) == (2, ["a"])
        assert (await found.get("/v1/recordings/a/sidecar"))[1]["call_id"] == "a"
        _, peaks, _ = await found.get("/v1/recordings/a/peaks?buckets=10")
        judge("/v1/recordings/{name}/peaks", 200, peaks)
        judge("/v1/page", 200, (await found.get("/v1/page"))[1])
        assert (peaks["length_samples"], len(peaks["channels"][1]["peak"])) == (8000, 10)
        base = f"http://{found.netloc}/v1/recordings"
        assert await asyncio.to_thread(fetch, f"{base}/a/audio") == (200, content)
        ranged = await asyncio.to_thread(lambda: fetch(f"{base}/a/audio", Range="bytes=100-299"))
        assert ranged == (206, content[100:300])
        assert await asyncio.to_thread(fetch, f"{base}/a/events") == (200, b'{"event": "dtmf"}\n')
        assert await asyncio.to_thread(fetch, f"{base}/b/events") == (204, b"")
        for path in ("c/audio", "c/sidecar", "c/peaks", "..%2Fa/audio", "c/transcript"):
            assert (await asyncio.to_thread(fetch, f"{base}/{path}"))[0] == 404
        assert (await asyncio.to_thread(fetch, f"{base}?limit=201"))[0] == 400


async def test_what_becomes_a_link_is_not_followed(tmp_path: Path) -> None:
    record(tmp_path, "secret")
    record(tmp_path / "inside", "a")

    class Late(Catalogue):
        def audio(self, name: str) -> Path | None:
            path = super().audio(name)
            assert path is not None
            path.unlink()
            path.symlink_to(tmp_path / "secret.wav")
            return path

    for what in ("audio", "peaks"):
        async with hall(recordings=Late([tmp_path / "inside"], ManualClock())) as found:
            (tmp_path / "inside" / "a.wav").unlink()
            (tmp_path / "inside" / "a.wav").touch()
            status, said, _ = await found.get(f"/v1/recordings/a/{what}")
            assert (status, said["error"]["code"]) == (404, "no_audio")


async def test_a_file_that_is_no_audio(tmp_path: Path) -> None:
    record(tmp_path, "a")
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    async with hall(recordings=Catalogue([tmp_path], ManualClock())) as found:
        status, said, _ = await found.get("/v1/recordings/a/peaks")
    assert (status, said["error"]["code"]) == (409, "unreadable")


async def test_who_knows_no_token(tmp_path: Path) -> None:
    record(tmp_path, "a")
    async with hall("secret", recordings=Catalogue([tmp_path], ManualClock())) as found:
        assert (await found.get("/v1/recordings/a/audio"))[0] == 401
