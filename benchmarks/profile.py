"""Where does a packet's time go? The floor and our server under one load, looked at by perf(1).

perf samples on which instruction each thread of the receiving process is, two thousand times a second of its
processor time (``cpu-clock``, which virtual machines have as well). The samples of a thread, in groups, share out the
processor time per packet that was measured of it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from benchmarks import environment, table
from benchmarks.child import Child
from benchmarks.contenders import FLOOR, OURS
from benchmarks.course import Course
from benchmarks.kernel import SENDER_CPU, pinned
from benchmarks.load import Load
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.report import Cells, Report, Table
from benchmarks.results import Run
from strep.clock import NS_PER_MS, NS_PER_SECOND

_SAMPLES_PER_S = 2000
_MAIN, _RECORDING = "MainThread", "sink-recording"
_KERNEL = "[kernel.kallsyms]"
_LINE = re.compile(r"\s*(\d+)\s+[0-9a-f]+\s+(.*) \((.*)\)$")
"""Thread, address, symbol and file of a sample, as ``perf script`` prints them."""

#         what                                       where: start of the file's name, and symbols
GROUPS = (
    ("kernel: addresses and time stamps", _KERNEL, r"move_addr_to_user|recv_timestamp|cmsg"),
    ("kernel: copying packets to us", _KERNEL, r"copy_to_iter|skb_copy_datagram"),
    (
        "kernel: buffers back to the sender's core",
        _KERNEL,
        r"write_msr|defer_free|free_bulk|detached_freelist|^kfree",
    ),
    ("kernel: writing files", _KERNEL, r"ext4|xfs|btrfs|shmem|folio|filemap|vfs_write|pwrite|jbd2|dquot|buffers?$"),
    ("kernel: the rest", _KERNEL, r""),
    ("numpy", "_multiarray_umath", r""),
    ("memmove: rows copied by numpy", "libc", r"mem(move|cpy|set)"),
    ("Python's interpreter", "libpython|python|libc", r""),
    ("event loop and others", "", r""),
)


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    legs: Annotated[int, Meta(ge=1, description="Calls at once.")] = 1000
    ramp: Annotated[float, Meta(ge=1, description="Calls that begin, and end, per second.")] = 250.0
    seconds: Annotated[float, Meta(ge=1, description="For how long all of them are there.")] = 10.0


class Profile(msgspec.Struct, frozen=True):
    """Processor time per packet, ns, by group and thread; of one run."""

    run: Run
    groups_ns: dict[str, dict[str, float]]

    def ns(self, thread: str, group: str) -> float:
        """Return one figure."""
        return self.groups_ns.get(thread, {}).get(group, 0.0)


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Look at both once."""
    where = environment.describe(scratch)
    if shutil.which("perf") is None:
        return Report("profile", where, [], [], 0, complaints=["perf(1) is missing (Debian: linux-perf)"])
    load = Load(settings.legs, settings.legs / settings.ramp, settings.seconds)
    with pinned(SENDER_CPU), closing(Course(load, scratch)) as course:
        floor, ours = (_profile(course, name, scratch, say) for name in (FLOOR, OURS))
    return Report(
        question="profile",
        environment=where,
        answers=_answers(floor, ours),
        tables=[Table("Processor time per packet, ns", _COLUMNS, _cells(floor, ours))],
        runs=2,
        conditions=table.conditions([floor.run, ours.run]),
        figures=msgspec.to_builtins([floor, ours]),
        complaints=[
            f"{profile.run.contender}: {text}" for profile in (floor, ours) for text in profile.run.complaints
        ],
    )


def _profile(course: Course, contender: str, scratch: Path, say: Say) -> Profile:
    """Run a contender, and perf beside it, which samples while all calls are there.

    It is started with the first calls: while it attaches, the receiver stands still for a fraction of a second.
    """
    data = scratch / f"{contender}.perf"
    perf: list[tuple[int, subprocess.Popen[str]]] = []

    def watch(receiver: Child, _port: int, since_ns: int) -> None:
        if not perf:
            delay_ns = max(course.load.plateau_ns[0] - since_ns, 0)
            perf.append((receiver.pid, _record(receiver.pid, data, delay_ns, course.load.plateau_seconds - 0.5)))

    say.doing(contender)
    run = course.run(contender, 1, watch=watch)
    if not perf:
        return Profile(msgspec.structs.replace(run, complaints=[*run.complaints, "was not profiled"]), {})
    pid, process = perf[0]
    _, said = process.communicate(timeout=30)
    if not (counts := _counts(data, pid)):
        run = msgspec.structs.replace(run, complaints=[*run.complaints, f"perf saw nothing: {said.strip()[-200:]}"])
    return Profile(
        run, {thread: _shared(run.threads_ns.get(thread, 0.0), groups) for thread, groups in counts.items()}
    )


def _record(pid: int, data: Path, delay_ns: int, seconds: float) -> subprocess.Popen[str]:
    command = ["perf", "record", "-e", "cpu-clock", "-F", str(_SAMPLES_PER_S), "-p", str(pid), "-o", str(data)]
    command += ["--delay", str(max(delay_ns // NS_PER_MS, 1))]
    return subprocess.Popen(
        [*command, "--", "sleep", str(delay_ns / NS_PER_SECOND + seconds)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _counts(data: Path, pid: int) -> dict[str, Counter[str]]:
    """Return samples by thread and group."""
    command = ["perf", "script", "-i", str(data), "-F", "tid,ip,sym,dso"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    counts: dict[str, Counter[str]] = {}
    for line in listed.splitlines():
        if found := _LINE.match(line):
            thread = _MAIN if int(found[1]) == pid else _RECORDING
            counts.setdefault(thread, Counter())[group_of(found[3].rpartition("/")[2], found[2])] += 1
    return counts


def group_of(file: str, symbol: str) -> str:
    """Return the group of a sample, by the name of the file without its directory, and the symbol."""
    return next(
        what
        for what, place, symbols in GROUPS
        if (file == place if place == _KERNEL else re.match(place, file)) and re.search(symbols, symbol)
    )


def _shared(ns: float, counts: Counter[str]) -> dict[str, float]:
    return {group: ns * count / counts.total() for group, count in counts.items()}


_COLUMNS = ["what", "the floor", "strep: receiving", "strep: recording", "strep / the floor's whole"]


def _cells(floor: Profile, ours: Profile) -> Cells:
    cells, whole = [], floor.run.cpu_ns
    for group in [what for what, *_ in GROUPS]:
        figures = [floor.ns(_MAIN, group), ours.ns(_MAIN, group), ours.ns(_RECORDING, group)]
        cells.append([group, *(f"{ns:,.0f}" for ns in figures), f"{_ratio(sum(figures[1:]), whole):.2f}"])
    threads = [whole, ours.run.threads_ns.get(_MAIN, 0.0), ours.run.threads_ns.get(_RECORDING, 0.0)]
    return [*cells, ["all", *(f"{ns:,.0f}" for ns in threads), f"{_ratio(ours.run.cpu_ns, whole):.2f}"]]


def _answers(floor: Profile, ours: Profile) -> list[str]:
    kernel = [what for what, place, _ in GROUPS if place == _KERNEL]
    kernel_ns = sum(ours.ns(thread, group) for thread in (_MAIN, _RECORDING) for group in kernel)
    whole = floor.run.cpu_ns
    return [
        f"a packet costs {ours.run.cpu_ns:,.0f} ns, {_ratio(ours.run.cpu_ns, whole):.2f} times the floor's "
        f"{whole:,.0f}; the kernel's part of it is {kernel_ns:,.0f} ns, {_ratio(kernel_ns, whole):.2f} times"
    ]


def _ratio(amount: float, of: float) -> float:
    return amount / of if of else 0.0


QUESTION = Question(
    name="profile",
    explains="""Needs perf(1). The floor of `strep bench receive` and the recording server take turns under the same
load; perf samples each of them while all calls are there, and the samples share out the processor time per packet
that was measured of each thread.

The referee compares every recording with what was sent, as ever. perf costs a little itself: compare shares here, and
costs in `strep bench receive`.""",
    settings=Settings,
    quick=Settings(legs=300, ramp=500.0, seconds=2.0),
    measure=measure,
)
