"""Recordings are delivered to a real S3 server by the real process, over a network that fails; kills included."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
import soundfile

from media.carrier.options import SimulationOptions
from media.carrier.simulation import Target
from media.delivery.companion import Deliveries
from media.delivery.contents import sha256_of
from media.delivery.jobs import FOLDER
from media.delivery.object_store import PART_BYTES, ObjectStore, etag_of
from media.delivery.settings import DeliverySettings
from media.events.bus import EventBus, Told
from strep.clock import SystemClock
from tests.delivery import s3
from tests.delivery.recordings import finished, speech
from tests.media.serving import address, send, serving
from tests.patience import PATIENCE_S

pytestmark = [
    pytest.mark.peer,
    pytest.mark.realtime,
    pytest.mark.skipif(not s3.IS_HERE, reason="no moto or no s3fs here: make peers"),
]
KEY = "pre/2023-11-14/call-1"
URL = f"s3://{s3.BUCKET}/pre"


@pytest.fixture
def way(server: s3.S3Server) -> Iterator[s3.Way]:
    way = s3.Way(server.port)
    yield way
    way.close()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3.USER.items():
        monkeypatch.setenv(name, value)


async def until(condition: Callable[[], object], what: str) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < PATIENCE_S, f"{what} took too long"
        await asyncio.sleep(0.05)


class World:
    """A directory of recordings, and the companion that delivers them to a URL."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.directory = directory
        self.told: list[Told] = []
        self._loop, self._is_news = asyncio.get_running_loop(), asyncio.Event()
        bus = EventBus(SystemClock())
        bus.subscribe(self._hear)
        options = {"url": URL, "keep_local": False, "formats": ("wav",), **settings}
        self.deliveries = Deliveries("delivery", DeliverySettings(str(directory), **options), bus, SystemClock())

    async def __aenter__(self) -> World:
        await self.deliveries.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.deliveries.close()

    def names(self, event: str) -> list[Told]:
        return [told for told in self.told if event == told.event.NAME]

    def _hear(self, told: Told) -> None:
        self.told.append(told)
        self._loop.call_soon_threadsafe(self._is_news.set)

    async def hears(self, event: str, count: int = 1) -> None:
        """Wait until so many events of a name were told."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.names(event)) < count:
                await self._is_news.wait()
                self._is_news.clear()

    async def saved(self, count: int = 1) -> None:
        await self.hears("recording_saved", count)

    @property
    def pid(self) -> int:
        process = self.deliveries._process
        return process.pid if process else 0


def here(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir() if path.name != FOLDER}


def two_files(directory: Path, size: int) -> tuple[Path, Path]:
    """Return two files, the second with another last byte; one byte long if the first is empty."""
    path, other = directory / "a.wav", directory / "b.wav"
    content = np.random.default_rng(size).bytes(size)
    path.write_bytes(content)
    other.write_bytes(content[:-1] + bytes([content[-1] ^ 0xFF if content else 0]))
    return path, other


class TestTheStore:
    @pytest.mark.parametrize("size", [0, 1, 100_000, 2 * PART_BYTES - 1, 2 * PART_BYTES, 3 * PART_BYTES + 5])
    def test_what_is_put_is_there_and_nothing_else(
        self, tmp_path: Path, server: s3.S3Server, monkeypatch: pytest.MonkeyPatch, size: int
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        path, other = two_files(tmp_path, size)
        store = ObjectStore(URL)
        assert not store.exists("a b/x.wav")
        store.put(path, "a/x.wav")
        assert store.exists("a/x.wav")
        assert not store.exists("a"), "a folder is no object"
        assert store.has("a/x.wav", path, sha256_of(path))
        assert not store.has("a/x.wav", other, sha256_of(other))
        if size:
            info = server.client("s3").head_object(Bucket=s3.BUCKET, Key="pre/a/x.wav")
            assert info["ETag"].strip('"') == etag_of(path)
            assert ("-" in info["ETag"]) == (size >= 2 * PART_BYTES)

    def test_where_the_tag_says_nothing_all_is_read_back(
        self, tmp_path: Path, server: s3.S3Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As where the store encrypts with a key."""
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setattr("media.delivery.object_store.etag_of", lambda _: "0" * 32)
        path, other = two_files(tmp_path, 3_000_000)
        store = ObjectStore(URL)
        store.put(path, "x.wav")
        assert store.has("x.wav", path, sha256_of(path))
        assert not store.has("x.wav", other, sha256_of(other))


def probed(path: Path) -> tuple[float, int]:
    """Return duration and channels, by ffprobe; by libsndfile where there is none."""
    if which("ffprobe") is None:
        info = soundfile.info(path)
        return info.duration, info.channels
    show = ["ffprobe", "-v", "error", "-show_entries", "stream=channels:format=duration", "-of", "json"]
    said = json.loads(subprocess.check_output([*show, str(path)]))
    return float(said["format"]["duration"]), said["streams"][0]["channels"]


async def test_formats_arrive_and_programs_know_them(
    tmp_path: Path, server: s3.S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    async with World(tmp_path, formats=("wav", "flac", "mp3", "opus")) as world:
        recording = finished(tmp_path)
        wanted = recording.path.read_bytes()
        world.deliveries.take(recording)
        await world.saved()
        assert here(tmp_path) == set()
    objects = server.objects()
    assert set(objects) == {f"{KEY}.{end}" for end in ("wav", "flac", "mp3", "opus", "json")}
    assert objects[f"{KEY}.wav"] == wanted
    for name, content in objects.items():
        (tmp_path / name.rpartition("/")[2]).write_bytes(content)
    flac, wav = (soundfile.read(tmp_path / f"call-1.{end}", dtype="int16")[0] for end in ("flac", "wav"))
    np.testing.assert_array_equal(flac, wav)
    document = json.loads(objects[f"{KEY}.json"])
    for file in document["files"]:
        assert file["url"] == f"{URL}/2023-11-14/{file['file']}"
        assert file["sha256"] == sha256_of(tmp_path / file["file"])
        duration_s, channels = await asyncio.to_thread(probed, tmp_path / file["file"])
        assert channels == 2
        assert abs(duration_s - 10.0) <= {"mp3": 0.3, "opus": 0.02}.get(file["format"], 0.0)
    [told] = world.names("recording_saved")
    event = told.to_json()
    assert event["recording_id"] == "id of call-1"
    assert [file["url"] for file in event["files"]] == [file["url"] for file in document["files"]]
    assert event["duration_ms"] == 10_000
    counted = world.deliveries.snapshot()
    assert (counted["delivered"], counted["waiting"], counted["oldest_ns"]) == (1, 0, 0)


async def test_a_server_that_is_down_and_comes(
    tmp_path: Path, server: s3.S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = s3.free_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.url_of(port))
    async with World(tmp_path, formats=("flac",)) as world:
        for number in range(5):
            world.deliveries.take(finished(tmp_path, f"call-{number}", speech(1.0)))
        await until(lambda: world.deliveries.snapshot()["retries"] >= 2, "failing")
        assert {f"call-{number}.wav" for number in range(5)} <= here(tmp_path)
        assert world.deliveries.snapshot()["waiting"] == 5
        failed = world.names("recording_failed")
        assert failed
        assert {told.event.to_json(8000)["step"] for told in failed} == {"upload"}
        assert all(told.event.to_json(8000)["will_retry"] for told in failed)
        with closing(s3.Way(server.port, port)):
            await world.saved(5)
            assert len(server.objects()) == 10
    assert here(tmp_path) == set()


@pytest.mark.parametrize("mode", ["500", "cut", "corrupt"])
async def test_what_goes_wrong_is_done_again(
    tmp_path: Path, server: s3.S3Server, way: s3.Way, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", way.url)
    way.mode, way.times = mode, 3 if mode == "500" else 1
    recording = finished(tmp_path)
    wanted = recording.path.read_bytes()
    async with World(tmp_path) as world:
        world.deliveries.take(recording)
        await world.saved()
        assert way.happened == way.times
        if mode != "cut":  # which aiohttp tries again by itself
            await until(lambda: world.deliveries.snapshot()["retries"] >= 1, "counting the next try")
    assert server.objects()[f"{KEY}.wav"] == wanted
    assert set(server.objects()) == {f"{KEY}.wav", f"{KEY}.json"}
    assert here(tmp_path) == set()


async def test_killed_amid_an_upload_in_parts(
    tmp_path: Path, server: s3.S3Server, way: s3.Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", way.url)
    way.mode = "held"
    recording = finished(tmp_path, pcm=np.tile(speech(10.0), (60, 1)))
    assert recording.size_bytes > 2 * PART_BYTES
    wanted = sha256_of(recording.path)
    async with World(tmp_path) as world:
        world.deliveries.take(recording)
        await until(lambda: way.uploaded_bytes > PART_BYTES, "uploading")
        os.kill(world.pid, signal.SIGKILL)
        way.go_on()
        assert recording.path.exists()
        await world.saved()
        assert world.deliveries.snapshot()["process_restarts"] == 1
    [key] = [key for key in server.objects() if key.endswith(".wav")]
    (tmp_path / "back").write_bytes(server.objects()[key])
    assert (key, sha256_of(tmp_path / "back")) == (f"{KEY}.wav", wanted)


async def test_credentials_that_are_put_right(
    tmp_path: Path, server: s3.S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the file that names them; nothing has to be started again."""
    iam = server.client("iam")
    iam.create_user(UserName="u")
    key = iam.create_access_key(UserName="u")["AccessKey"]
    allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=json.dumps(allowed))
    credentials = tmp_path / "credentials"
    right = f"[default]\naws_access_key_id={key['AccessKeyId']}\naws_secret_access_key={key['SecretAccessKey']}\n"
    credentials.write_text(right.replace(key["AccessKeyId"], "AKIAWRONGWRONGWRONG"))
    for name in s3.USER:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    directory = tmp_path / "recordings"
    directory.mkdir()
    with s3.authentication(server.port):
        async with World(directory) as world:
            world.deliveries.take(finished(directory, pcm=speech(1.0)))
            await world.hears("recording_failed")
            assert "PermissionError" in world.names("recording_failed")[0].to_json()["error"]
            assert "call-1.wav" in here(directory)
            credentials.write_text(right)
            await world.saved()
    assert here(directory) == set()


def test_a_server_that_is_killed_between_the_steps(tmp_path: Path, server: s3.S3Server, eager: str) -> None:
    """The recordings of a server that died while the store was away are delivered by the next one, once."""
    port = s3.free_port()
    options = ["--udp", "127.0.0.1:0", "--record", "recordings", "--deliver-to", URL]
    options += ["--deliver-format", "flac", "--deliver-keep-local", "off", "--deliver-key", "{call_id}"]
    variables = {"AWS_ENDPOINT_URL": s3.url_of(port), "PYTHONPATH": eager, **s3.USER}
    jobs = tmp_path / "recordings" / FOLDER
    with serving(*options, "--idle-timeout", "2s", folder=tmp_path, **variables) as (process, addresses):
        send(SimulationOptions(calls=3, seconds=1), Target(udp=address(addresses["udp"])))
        _wait(lambda: len(list(jobs.glob("*.flac"))) == 3)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with closing(s3.Way(server.port, port)), serving(*options, folder=tmp_path, **variables) as (process, _):
        _wait(lambda: not list(jobs.glob("*.job")))
        assert here(tmp_path / "recordings") == set()
        objects = server.objects()
        assert sorted(key.rpartition(".")[2] for key in objects) == ["flac"] * 3 + ["json"] * 3
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    for key in objects:
        if key.endswith(".flac"):
            document = json.loads(objects[key.replace(".flac", ".json")])
            assert document["files"][0]["url"] == f"s3://{s3.BUCKET}/{key}"
            (tmp_path / "back.flac").write_bytes(objects[key])
            assert soundfile.info(tmp_path / "back.flac").frames == document["length_samples"] >= 8000  # less skew


def _wait(condition: Callable[[], object]) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < PATIENCE_S
        time.sleep(0.05)
