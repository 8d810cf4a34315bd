"""What a process that died left on the disk: sidecars, recordings, notes, webhooks, messages, jobs, torn anywhere.

Promises: `Salvage` ends, and never by an exception; the readers raise what they say, and nothing else.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np

from media.account import EventCame, SpansChanged, TrackBegan
from media.delivery import messages
from media.delivery.jobs import SUFFIX as JOB_SUFFIX
from media.delivery.jobs import JobFolder
from media.nats import spool as nats_spool
from media.nats.message import Message
from media.sealing import age
from media.sealing.keys import Identity
from media.sealing.opening import Opened
from media.sealing.records import Damaged, Record, Segment
from media.sealing.scanning import Lost, scan, survey
from media.sinks import sidecar, wav
from media.sinks.notes import ToFinish, Wish
from media.sinks.salvage import Salvage
from media.sinks.sealed import SealedWav
from media.sinks.sidecar import Sidecar
from media.sinks.told import ROW, KnownUntil, Paused, ProcessBegan, account_of, boot_bytes, read_told
from media.webhooks import spool as webhook_spool
from tests.fuzz.guided.target import Bytes, Target, pieces

HEADER = wav.serialize_header(wav.Encoding.PCM16, 8000, 4)
SHM = Path("/dev/shm")
KEY = Identity(bytes(range(32)))
MOST_SAMPLES = 1 << 20


def check_files(data: bytes) -> None:
    """The first byte chooses what is read; what follows is the file, or a few."""
    given = Bytes(data)
    kind = given.byte()
    logging.disable(logging.CRITICAL)
    with TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as name:
        CHECKS[kind % len(CHECKS)](given, Path(name))


def check_salvage(given: Bytes, directory: Path) -> None:
    for name in ("leg.json", "leg.wav", ".leg.finish", ".leg.account", ".0.heads"):
        content = given.piece()
        if content:
            (directory / name).write_bytes(content)
    check_told(directory / "leg.json")
    salvage = Salvage(directory, 0, Nobody())  # type: ignore[arg-type]
    salvage._run()
    for path in directory.glob("*.json"):
        unfinished = sidecar.read_unfinished(path)
        assert unfinished is None or unfinished.state == "recording"
        with suppress(ValueError):
            sidecar.read_finished(path)


def check_told(path: Path) -> None:
    """Whatever it says, a file is described from its first sample to its last, and each of them once."""
    told = read_told(path)
    if told is None:
        return
    assert 0 <= told.size_bytes <= account_of(path).stat().st_size
    for channel in told.channels() | {0, 1}:
        for length in (0, 1, 4, 8000):
            position = 0
            for start, end, kind in told.segments(channel, length):
                assert start == position <= end
                assert kind
                position = end
            assert position == length
        assert told.start(channel) >= 0
        told.is_truncated(channel)
    assert isinstance(told.events(), list)


class Nobody:
    """Takes what is finished."""

    def put(self, closed: object) -> None: ...


def check_headers(given: Bytes, directory: Path) -> None:
    content = given.rest()
    try:
        encoding, rate_hz = wav.parse_header(content)
    except ValueError:
        return
    assert content[:4] in (b"RIFF", b"RF64")
    assert 0 <= rate_hz < 1 << 32
    assert encoding in wav.Encoding


def check_webhooks(given: Bytes, directory: Path) -> None:
    folder = directory / webhook_spool.folder_name(1, 1)
    folder.mkdir()
    count = 0
    while given and count < 5:
        (folder / f"{count:012d}.json").write_bytes(given.piece())
        count += 1
    spool = webhook_spool.Spool(directory, webhook_spool.folder_name(2, 2))
    spool.open()
    for kept in list(spool.adopt()):
        assert spool.get(kept.key) == kept.record
        spool.remove(kept.key)
    spool.close()


def check_messages(given: Bytes, directory: Path) -> None:
    """Records of which the checksum is right, or is not."""
    fixes = given.byte() & 1
    content = bytearray(given.rest())
    if fixes and len(content) > nats_spool._RECORD.size:
        content[:4] = zlib.crc32(content[4:]).to_bytes(4, "little")
    (directory / "0").mkdir()
    (directory / "0" / ("1".zfill(16) + nats_spool._SUFFIX)).write_bytes(content)
    spool = nats_spool.Spool.open(directory, 1 << 20)
    for _ in range(10):
        for message in spool.read(10**9, 10**18):
            assert isinstance(message.subject, str)
            if message.segment is not None:
                spool.release(message.segment)
    assert spool.unread_bytes == 0
    spool.close()


def check_jobs(given: Bytes, directory: Path) -> None:
    content = given.rest()
    folder = JobFolder(directory)
    folder.make()
    (folder.path / f"leg{JOB_SUFFIX}").write_bytes(content)
    for name in folder.names():
        _unless_refused(partial(folder.read, name))
    _unless_refused(lambda: messages.decode(content))


def check_sealed(given: Bytes, directory: Path) -> None:
    """With a key that fits and without one, the same records, and what is none in between; whole ones only."""
    content, path = given.rest(), directory / "leg.wav.sealed"
    path.write_bytes(content)
    read = partial(_piece, content)
    end, found = 0, list[Segment | Record | Lost]()
    with suppress(Damaged):
        for one in survey(read, len(content)):
            found.append(one)
            assert end == one.offset < one.end <= len(content)
            end = one.end
    whole = list[Segment | Record]()
    with suppress(Damaged):
        whole += scan(read, len(content))
        assert whole == found
    with suppress(ValueError), Opened(path, [KEY]) as opened:
        assert opened.cut_bytes == len(content) - end
        wrong = [one for one, _ in opened._wrong if isinstance(one, Record)]
        records = [one for one in found if isinstance(one, Record)]
        assert sorted(opened._records + wrong, key=lambda one: one.offset) == records
        assert opened.damage or not any(isinstance(one, Lost) for one in found)
        assert opened._records or not opened.damage
        _unless_refused(opened.about)
        if opened.length_samples < MOST_SAMPLES:
            _unless_refused(lambda: list(opened.chunks()))
    _unless_refused(lambda: age.decrypt(content, [KEY]))
    with suppress(ValueError):
        file = SealedWav.reopen(path, ())
        assert file is not None
        assert file._end == end
        file.let_go()


def _piece(content: bytes, count: int, offset: int) -> bytes:
    return content[offset : offset + count]


def _unless_refused(read: Callable[[], object]) -> None:
    with suppress(ValueError, OSError):
        read()


CHECKS = (check_salvage, check_headers, check_webhooks, check_messages, check_jobs, check_sealed)


LINES = (
    ProcessBegan(0, ".0.heads", 0, 7),
    TrackBegan(0, 0, 0),
    TrackBegan(1, 1, 1),
    SpansChanged(0, [(1, 2, "lost")]),
    SpansChanged(1, [(1, 1, "silence"), (3, 1, "lost")]),
    EventCame({"event": "dtmf", "digit": "1", "position_samples": 1}),
    Paused([(2, (2, 1), 3)]),
    KnownUntil((4, 2)),
    ProcessBegan(3, ".0.heads", 0, 7),
    TrackBegan(0, 0, 0),
)
"""An account of two processes."""


def document(state: sidecar.State = "recording", **more: object) -> bytes:
    said = Sidecar(
        1, state, "leg", "strep", {"call_leg_id": "leg"}, "2026-01-01T00:00:00Z", 10**18, None, None, None, "", None,
        "leg.wav", "pcm_s16le", 8000, 4, [], [], **more,  # type: ignore[arg-type]
    )  # fmt: skip
    return sidecar.serialize(said)


def files_seeds() -> Iterator[bytes]:
    audio = HEADER + bytes(16)
    note = msgspec.json.encode(ToFinish("id", Wish(trim_silence=True), ((0, 1),)))
    heads = boot_bytes() + np.array([(7, (4, 3))], ROW).tobytes()
    account = b"".join(msgspec.json.encode(line) + b"\n" for line in LINES)
    for length in range(len(LINES) + 1):
        lines = b"".join(account.splitlines(keepends=True)[:length])
        yield b"\0" + pieces(document(), audio, b"", lines, heads)
    yield b"\0" + pieces(document(restarts=[sidecar.Restart(1, 2)]), audio, b"", account, heads)
    take = sidecar.Take("t", 0, 4, "both", "dual", 0)
    yield b"\0" + pieces(document(), audio)
    yield b"\0" + pieces(document("complete", recording_id="id"), audio, note)
    yield b"\0" + pieces(document("complete", recording_id="id", take=take, channels=1), audio, note)
    yield b"\0" + pieces(document(clock=sidecar.Clock("b", 5), restarts=[sidecar.Restart(1, 2)], take=take), audio)
    deep = document().replace(b'"events": []', b'"events": [{"a": ' + b"[" * 1500)
    yield b"\0" + pieces(deep, audio)
    yield b"\0" + pieces(deep.replace(b"recording", b"complete"), audio, note)
    yield b"\0" + pieces(document("complete"), audio, b"[" * 1500)
    yield b"\2" + pieces(b'{"data":' + b"[" * 1500)
    yield b"\4" + b'{"name":' + b"[" * 1500
    for encoding in wav.Encoding:
        yield b"\1" + wav.serialize_header(encoding, 8000, 4)
        yield b"\1" + wav.serialize_header(encoding, 8000, 1 << 33)
        yield b"\0" + pieces(document(), wav.serialize_header(encoding, 8000, 4) + bytes(16))
    record = msgspec.json.encode(webhook_spool.Record("http://a", "leg", 1, msgspec.Raw(b'{"a":1}')))
    yield b"\2" + pieces(record, record[:20], b"", record)
    packed = nats_spool._pack(Message("strep.events.1.leg", "leg.event.1.2", b"body"), 10**18)
    yield b"\3\0" + packed + packed
    yield b"\3\1" + packed
    yield b"\4" + messages.encode(messages.Status(1, 2)) + b"\n"
    yield b"\4" + messages.encode(messages.Said(20, "x"))
    job = b'{"version":1,"name":"leg","recording_id":"id","recording":{},"files":[],"steps":[]}'
    yield b"\4" + job
    yield from (b"\5" + content for content in sealed_seeds())


def sealed_seeds() -> Iterator[bytes]:
    """Two processes, all kinds of records; and a key as age wraps it."""
    frames = np.arange(20, dtype="<i2").reshape(10, 2)
    with TemporaryDirectory() as name:
        file: SealedWav | None = SealedWav(Path(name) / "leg.wav.sealed", wav.Encoding.PCM16, 8000, (KEY.recipient,))
        for end in (SealedWav.let_go, SealedWav.close):
            assert file is not None
            file.write(file.length_samples, frames)
            file.patch(1, 4, frames[:, 0])
            file.cut(12)
            file.describe({"digits": "1"})
            file.edit([(2, 3)], "both")
            end(file)
            yield file.path.read_bytes()
            content = bytearray(file.path.read_bytes())
            for first in (-300, -120):  # a head, and what is sealed
                content[first : first + 40] = bytes(40)
                yield bytes(content)
            file = SealedWav.reopen(file.path, (KEY.recipient,))
        assert file is not None
        file.let_go()
    yield age.encrypt(bytes(32), (KEY.recipient,))


FILES = Target("files", check_files, files_seeds, 3000)
