"""A sealed recording is delivered as it is, byte by byte, and opened where it arrives."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import numpy as np
import pytest

from media.delivery.contents import sha256_of
from media.delivery.object_store import ObjectStore
from media.delivery.settings import DeliverySettings
from media.delivery.stores import DirectoryStore, Store
from media.sinks.audio_files import create
from media.sinks.finished import FinishedRecording
from media.sinks.sidecar import Sidecar, replace
from media.sinks.wav import Encoding
from tests.delivery import s3
from tests.delivery.conftest import _s3_server, server
from tests.delivery.delivering import Delivering
from tests.delivery.recordings import finished, read_json, speech
from tests.sealing.people import ALICE, FOR_ALICE, heard
from tests.sinks.sidecars import check

__all__ = ["_s3_server", "server"]
KEY = "2023-11-14/call-1"
PCM = speech(3.0)


def sealed(directory: Path) -> FinishedRecording:
    """Return a recording of three seconds as the recorder hands it over."""
    recording = finished(directory, pcm=PCM)
    document = msgspec.json.decode(recording.sidecar.read_bytes(), type=Sidecar)
    recording.path.unlink()
    recording.sidecar.unlink()
    file = create(directory, "call-1", Encoding.PCM16, 8000, FOR_ALICE)
    file.write(0, np.ascontiguousarray(PCM))
    file.close()
    about = {"file": file.path.name, "encrypted_to": [str(ALICE.recipient)]}
    replace(recording.sidecar, msgspec.structs.replace(document, **about))
    return dataclasses.replace(recording, path=file.path, size_bytes=file.path.stat().st_size)


def deliver(directory: Path, store: Store) -> bytes:
    """Deliver it, keep nothing, and return the bytes that were to arrive."""
    world = Delivering(DeliverySettings(str(directory), url=store.url, keep_local=False), store)
    recording = sealed(directory)
    content = recording.path.read_bytes()
    world.hand_over(recording)
    world.run()
    assert len(world.saved) == 1
    assert [path.name for path in directory.iterdir() if path.is_file()] == []
    return content


def arrived(folder: Path, content: bytes) -> None:
    """Look at what is there: the same bytes, which the sidecar tells of, and who has the key hears all of it."""
    audio = folder / "call-1.wav.sealed"
    assert audio.read_bytes() == content
    assert np.array_equal(heard(audio), PCM)
    document = check(folder / "call-1.json")
    assert (document["file"], document["encrypted_to"]) == (audio.name, [str(ALICE.recipient)])
    (file,) = read_json(folder / "call-1.json")["files"]
    assert (file["format"], file["sha256"]) == ("pcm16", sha256_of(audio))


def test_to_a_directory(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    content = deliver(here, DirectoryStore(str(there), there))
    assert sorted(path.name for path in (there / KEY).parent.iterdir()) == ["call-1.json", "call-1.wav.sealed"]
    arrived((there / KEY).parent, content)


@pytest.mark.peer
@pytest.mark.skipif(not s3.IS_HERE, reason="no moto or no s3fs here: make peers")
def test_to_an_s3_server(tmp_path: Path, server: s3.S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.USER.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    content = deliver(here, ObjectStore(f"s3://{s3.BUCKET}"))
    objects = server.objects()
    assert set(objects) == {f"{KEY}.json", f"{KEY}.wav.sealed"}
    for name, data in objects.items():
        (there / name.rpartition("/")[2]).write_bytes(data)
    arrived(there, content)
