"""Rules about directories and the disk of the recordings."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from media.doctor.check import Verdict, advice, ok, problem, unknown
from media.doctor.demand import DAY_S, Demand
from media.doctor.facts import DirectoryFacts, Facts

HOUR_S = 3600
FEW_TIMES = 4
"""Of what recordings grow by, a disk should write: it has more to do than recordings, and not always the time."""
SLOW_SYNC_S = 0.5
IN_MEMORY = frozenset({"tmpfs", "ramfs"})
REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "fuse.s3fs"})
OTHERS_BITS = 0o077
IS_A_FILE = "cdr"
"""Of which the directory is meant."""
NOT_RECORDED = "nothing is recorded (--record)"


def writable(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether each directory can be written to, or made."""
    for directory in facts.disk.directories:
        subject, parent = f"{directory.option} {directory.path}", directory.nearest != directory.path
        where = f", would be made in {directory.nearest}" if parent else ""
        if directory.is_writable:
            yield ok(f"can be written to{where}", subject)
        else:
            yield problem(f"cannot be written to{where}", subject, what=_make(directory))
    if not facts.disk.directories:
        yield ok("none is written to")


def private(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether other users see what is in them."""
    for directory in facts.disk.directories:
        if directory.option == IS_A_FILE:  # which is its owner's, wherever it is
            continue
        subject = f"{directory.option} {directory.path}"
        if directory.mode is None:
            yield ok("will be made for its owner alone", subject)
        elif directory.mode & OTHERS_BITS:
            found = f"mode {directory.mode:03o}: others see names, and numbers of calls"
            quoted = shlex.quote(directory.path)
            yield advice(found, subject, what=f"chmod 700 {quoted}" if directory.is_own else _make(directory))
        else:
            yield ok(f"mode {directory.mode:03o}", subject)
    if not facts.disk.directories:
        yield ok("none is written to")


def _make(directory: DirectoryFacts) -> str:
    """Return how to have a directory of one's own. What is there stays as it is: it may be that of everybody."""
    path = shlex.quote(directory.path if directory.mode is None else f"{directory.path}/strep")
    file = "/calls.jsonl" if directory.option == IS_A_FILE else ""
    option = "" if directory.mode is None else f", and --{directory.option.replace('_', '-')} {path}{file}"
    return f"install -d -m 700 -o $USER {path}{option}"


def space(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """How long the disk lasts."""
    free, rate = facts.disk.free_bytes, demand.recorded_bytes_per_s
    if not rate or free is None:
        yield ok(NOT_RECORDED) if not rate else unknown()
        return
    seconds = max(0, free - demand.server.min_free_bytes) / rate
    lasts = f"{seconds / 3600:.1f} h" if seconds < 2 * DAY_S else f"{seconds / DAY_S:.0f} days"
    found = f"{_gb(free)} free: {lasts} of {demand.calls:,} calls without a pause, a day takes {_gb(rate * DAY_S)}"
    yield problem(found) if seconds < HOUR_S else advice(found) if seconds < DAY_S else ok(found)


def file_count(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether so many files can be made."""
    left = facts.disk.free_files
    if not demand.server.record or left is None:
        yield ok("no limit" if demand.server.record else NOT_RECORDED)
        return
    found, needed = f"{left:,} more files, two for each recording", 4 * demand.calls
    yield problem(found) if left < needed else advice(found) if left < 1000 * demand.calls else ok(found)


def speed(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether the disk keeps up."""
    measured, rate = facts.disk.write_bytes_per_s, demand.recorded_bytes_per_s
    if not rate or measured is None:
        yield ok(NOT_RECORDED) if not rate else unknown("was not measured")
        return
    found = f"{measured / 1e6:.0f} MB/s with the sync; {demand.calls:,} calls write {rate / 1e6:.1f} MB/s"
    calls = max(int(demand.calls * measured / rate / FEW_TIMES), 1)  # 0 would be no limit
    if measured < rate:
        yield problem(found, calls=calls)
    else:
        yield advice(found, calls=calls) if measured < FEW_TIMES * rate else ok(found)


def sync(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether the disk says soon that it has what was written."""
    longest, every_s = facts.disk.sync_s, demand.server.sync_s
    if not demand.server.record or longest is None:
        yield ok(NOT_RECORDED) if not demand.server.record else unknown("was not measured")
        return
    found = f"{longest * 1000:.1f} ms at most"
    yield advice(found) if every_s and longest > min(SLOW_SYNC_S, every_s) else ok(found)


def kind(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether recordings are on a disk at all, and on one of this machine."""
    name = facts.disk.file_system
    if not demand.server.record or name is None:
        yield ok(NOT_RECORDED) if not demand.server.record else unknown()
    elif name in IN_MEMORY:
        yield advice(f"{name}: recordings are in memory, and gone with it")
    elif name in REMOTE:
        yield advice(f"{name}: when the network stands still, so does the recorder")
    else:
        yield ok(name)


def _gb(size_bytes: float) -> str:
    return f"{size_bytes / 1e12:.1f} TB" if size_bytes >= 1e12 else f"{size_bytes / 1e9:.1f} GB"
