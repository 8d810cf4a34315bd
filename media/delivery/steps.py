"""The steps of a job: each is given it, does its part, and returns how far it is then. None asks for the time.

A step that fails raises. `ValueError` and `FileNotFoundError` of `prepare` are of the recording, and will be the
same the next time; everything else may be better then.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from media.delivery.audio import KEPT_MS, SILENCE_DBFS, Audio
from media.delivery.contents import sha256_of
from media.delivery.encoders import encode, wav_encoding
from media.delivery.jobs import SIDECAR, Job, JobFile, JobFolder, write_file
from media.delivery.keys import key_of
from media.delivery.settings import DeliverySettings
from media.delivery.stores import Store, sync_directory
from media.documents import read_document
from media.sinks.audio_files import SEALED_WAV
from media.sinks.finished import FileFormat


class NotStored(OSError):
    """A store has something else than what it was sent."""


def prepare(job: Job, folder: JobFolder, settings: DeliverySettings) -> Job:
    """Make the formats beside the job.

    Raises:
        ValueError: the recording is no audio, or cannot be made into what is wanted.
        OSError: it is gone, or the disk refuses.
    """
    if job.is_sealed:
        return _as_it_is(job, folder)
    source = Audio.of(folder.recording(job))
    first, last = source.sounding() if job.trim_silence else (0, source.length_samples)
    audio = Audio(source.path, source.sample_rate_hz, source.channels, first, last)
    is_whole = audio.length_samples == source.length_samples
    formats: tuple[FileFormat, ...] = (job.format,) if job.format else settings.formats
    if not audio.length_samples:
        formats = ("wav",)  # there is nothing to encode, and encoders do not like that
    files = []
    for format in formats:
        is_staged = not (format == "wav" and is_whole)
        path = folder.staged(job, format) if is_staged else source.path
        if is_staged:
            encode(audio, format, path)
        encoding = wav_encoding(path).label if format == "wav" else format
        files.append(JobFile(format, encoding, path.stat().st_size, sha256_of(path), is_staged))
    sync_directory(folder.path)
    return replace(
        job,
        state="prepared",
        length_samples=source.length_samples,
        leading_samples=first,
        trailing_samples=source.length_samples - last,
        files=tuple(files),
    )


def _as_it_is(job: Job, folder: JobFolder) -> Job:
    """Return the job of a recording that is delivered as it was recorded."""
    path = folder.recording(job)
    encoding = str(_described(job, folder).get("format"))
    file = JobFile(SEALED_WAV, encoding, path.stat().st_size, sha256_of(path), is_staged=False)
    return replace(job, state="prepared", files=(file,))


def store(job: Job, folder: JobFolder, template: str, target: Store, save: Callable[[Job], None]) -> Job:
    """Send the files, the sidecar last, and see each time that it is there.

    Args:
        job: with files; if somebody has removed them, they are made again.
        folder: where they are.
        template: of the key.
        target: where they go.
        save: told of the job as it is when its key has been chosen, and before anything is sent: what is at that key
            is its own from then on, and may be written over.

    Raises:
        NotStored: what is there is not what was sent.
        Exception: whatever the store's client raises when it cannot be reached, or refuses.
    """
    if not all(os.path.exists(folder.file(job, file)) for file in job.files):
        return replace(job, state="waiting", files=())
    if job.store != target.url or not job.key:
        if job.key:
            folder.release(job, job.store, job.key)
        job = replace(job, store=target.url, key=_free_key(key_of(template, job), job, folder, target))
        save(job)
    files = []
    for file in job.files:
        key = f"{job.key}.{file.format}"
        _send(target, folder.file(job, file), key, file.sha256)
        files.append(replace(file, url=target.location(key)))
    job = replace(job, state="stored", files=tuple(files))
    path = folder.staged(job, SIDECAR)
    write_file(path, _sidecar(job, folder, job.key.rpartition("/")[2]))
    _send(target, path, f"{job.key}.{SIDECAR}", sha256_of(path))
    return job


def settle(job: Job, folder: JobFolder, settings: DeliverySettings) -> None:
    """Put the formats into their places in the directory, or remove the recording, and forget the job.

    Nothing is removed of a job that no store has. Where the recording is removed, the sidecar goes last, when the job
    is forgotten already: as long as it is there nobody takes the name, and whoever takes it then has nothing to fear
    from this job. Who is killed between the two leaves the sidecar.

    Raises:
        OSError: the disk refuses.
    """
    sidecar, recording = folder.final(job, SIDECAR), folder.recording(job)
    if job.state == "stored" and not settings.keep_local:
        recording.unlink(missing_ok=True)
        folder.remove(job)
        sidecar.unlink(missing_ok=True)
        return
    for file in job.files:
        if file.is_staged and os.path.exists(folder.staged(job, file.format)):
            os.replace(folder.staged(job, file.format), folder.final(job, file.format))
    write_file(sidecar, _sidecar(job, folder, job.name))
    sync_directory(folder.recordings)
    if not any(file.format in ("wav", SEALED_WAV) for file in job.files):
        recording.unlink(missing_ok=True)
    folder.remove(job)


def _free_key(wanted: str, job: Job, folder: JobFolder, target: Store) -> str:
    """Claim the key, with a number where somebody has it: another job claimed it, or there is something already.

    It is claimed before the store is asked: another job may have put its own there and be done since then.
    """
    endings = [*(file.format for file in job.files), SIDECAR]
    key, number = wanted, 1
    while not _is_free(key, endings, job, folder, target):
        number += 1
        key = f"{wanted}.{number}"
    return key


def _is_free(key: str, endings: Sequence[str], job: Job, folder: JobFolder, target: Store) -> bool:
    if not folder.claim(job, target.url, key):
        return False
    try:
        is_taken = any(target.exists(f"{key}.{ending}") for ending in endings)
    except BaseException:
        folder.release(job, target.url, key)
        raise
    if is_taken:
        folder.release(job, target.url, key)
    return not is_taken


def _send(target: Store, path: Path, key: str, sha256: str) -> None:
    with suppress(Exception):  # clients may refuse to read what is damaged; if it is worse, `put` will say so
        if target.has(key, path, sha256):  # by an attempt that did not get as far as saying so
            return
    target.put(path, key)
    if not target.has(key, path, sha256):
        raise NotStored(f"{target.location(key)} is not what was sent")


def _sidecar(job: Job, folder: JobFolder, name: str) -> bytes:
    """Return the recording's sidecar, as it is in the directory, with what was made of it under `name`."""
    files = [
        {
            "file": f"{name}.{file.format}",
            "format": file.encoding,
            "size_bytes": file.size_bytes,
            "sha256": file.sha256,
            "url": file.url or None,
        }
        for file in job.files
    ]
    trimmed = {
        "leading_samples": job.leading_samples,
        "trailing_samples": job.trailing_samples,
        "threshold_dbfs": SILENCE_DBFS,
        "kept_ms": KEPT_MS,
    }
    document = _described(job, folder) | {
        "file": files[0]["file"],
        "format": files[0]["format"],
        "length_samples": job.kept_samples,
        "trimmed": trimmed if job.trim_silence else None,
        "files": files,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _described(job: Job, folder: JobFolder) -> dict[str, Any]:
    """Return what the recorder wrote; where it could not, what the job knows."""
    try:
        document: dict[str, Any] = read_document(folder.final(job, SIDECAR).read_bytes(), dict)
    except (FileNotFoundError, ValueError):
        call = job.call
        document = {"call_id": call.call_id, "door": call.door, "identity": call.identity, "error": job.error}
        document |= {"started_wall_ns": job.started_wall_ns, "ended_wall_ns": job.ended_wall_ns}
        document |= {"sample_rate_hz": call.sample_rate_hz}
    return document
