"""What the kernel tells in files, /proc and /sys, below a root that tests replace. None is what cannot be read."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from media.doctor.facts import UnitFacts

UNIT = "strep.socket"
UNIT_DIRECTORIES = (
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
)
_NO_LIMIT_V1 = 1 << 60
_SUFFIXES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True, slots=True)
class Bound:
    """A socket of /proc/net: its inode, and what the kernel has dropped there."""

    inode: int
    drops: int


@dataclass(frozen=True, slots=True)
class Kernel:
    """The files.

    Attributes:
        root: "/", where no test says otherwise.
    """

    root: Path = Path("/")

    def text(self, path: str) -> str | None:
        """Return what a file has, None if it cannot be read."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None

    def numbers(self, path: str) -> list[int]:
        """Return the numbers of a file's first line; none if it has others, or cannot be read."""
        words = (self.text(path) or "").partition("\n")[0].split()
        return [int(word) for word in words] if words and all(word.isdecimal() for word in words) else []

    def number(self, path: str) -> int | None:
        """Return the first of them."""
        return next(iter(self.numbers(path)), None)

    def counted(self, path: str, protocol: str) -> dict[str, int]:
        """Return the counters of one protocol of /proc/net/snmp: a line of names, a line of values."""
        lines = [line.split() for line in (self.text(path) or "").splitlines() if line.startswith(f"{protocol}: ")]
        return dict(zip(lines[0][1:], map(int, lines[1][1:]), strict=False)) if len(lines) == 2 else {}

    def backlog_drops(self) -> int | None:
        """Return what all cores have dropped: the second column of /proc/net/softnet_stat."""
        lines = (self.text("proc/net/softnet_stat") or "").splitlines()
        return sum(int(line.split()[1], 16) for line in lines) if lines else None

    def bound(self, kind: str, port: int) -> list[Bound]:
        """Return the sockets of /proc/net that are bound to a port: all of UDP, those of TCP that listen."""
        found = []
        for table in (kind, f"{kind}6"):
            for line in (self.text(f"proc/net/{table}") or "").splitlines()[1:]:
                words = line.split()
                is_ours = int(words[1].rpartition(":")[2], 16) == port
                if is_ours and (kind == "udp" or words[3] == "0A"):
                    found.append(Bound(int(words[9]), int(words[12]) if kind == "udp" else 0))
        return found

    def holder(self, inodes: set[int]) -> str:
        """Return the program that has one of these sockets, as far as this user may see."""
        wanted = {f"socket:[{inode}]" for inode in inodes}
        for process in (self.root / "proc").glob("[0-9]*"):
            if any(link in wanted for link in _links(process / "fd")):
                words = (self.text(f"proc/{process.name}/cmdline") or "").split("\0")
                return f"{_title(words) or 'a process'} (pid {process.name})"
        return ""

    def stolen(self) -> float | None:
        """Return the share of time that the hypervisor gave to others: the eighth figure of /proc/stat."""
        words = (self.text("proc/stat") or "").partition("\n")[0].split()[1:9]
        return int(words[7]) / max(sum(map(int, words)), 1) if len(words) == 8 else None

    def available_bytes(self) -> int | None:
        """Return MemAvailable."""
        match = re.search(r"^MemAvailable:\s+(\d+) kB", self.text("proc/meminfo") or "", re.MULTILINE)
        return int(match[1]) << 10 if match else None

    def groups(self, controller: str) -> list[str]:
        """Return the directories of this process's control group, from it up to the root."""
        for line in (self.text("proc/self/cgroup") or "").splitlines():
            number, controllers, path = line.split(":", 2)
            base = "sys/fs/cgroup" if number == "0" else f"sys/fs/cgroup/{controller}"
            is_it = controller in controllers.split(",")
            if is_it or (number == "0" and (self.root / base / "cgroup.controllers").exists()):
                parts = [part for part in path.split("/") if part]
                return ["/".join([base, *parts[:count]]) for count in range(len(parts), -1, -1)]
        return []

    def quota_cores(self) -> float | None:
        """Return the least processor time a second that a group may use, version 2 or 1."""
        quotas = []
        for group in self.groups("cpu"):
            words = (self.text(f"{group}/cpu.max") or "").split()
            v1 = self.number(f"{group}/cpu.cfs_quota_us"), self.number(f"{group}/cpu.cfs_period_us")
            if len(words) == 2 and words[0].isdecimal():
                quotas.append(int(words[0]) / int(words[1]))
            elif v1[0] and v1[1]:
                quotas.append(v1[0] / v1[1])
        return min(quotas, default=None)

    def throttled(self) -> int | None:
        """Return in how many periods the group had to wait."""
        for group in self.groups("cpu"):
            match = re.search(r"^nr_throttled (\d+)", self.text(f"{group}/cpu.stat") or "", re.MULTILINE)
            if match:
                return int(match[1])
        return None

    def memory_limit(self) -> tuple[int | None, int]:
        """Return the group's limit that leaves least, and what is used of it."""
        tightest: tuple[int | None, int] = None, 0
        for group in self.groups("memory"):
            for most, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
                limit, now = self.number(f"{group}/{most}"), self.number(f"{group}/{used}") or 0
                if limit is None or limit >= _NO_LIMIT_V1:
                    continue
                if tightest[0] is None or limit - now < tightest[0] - tightest[1]:
                    tightest = limit, now
        return tightest

    def file_system(self, path: Path) -> str | None:
        """Return the type of the file system that a path is on: the longest mount point above it."""
        best: tuple[int, str | None] = -1, None
        for line in (self.text("proc/self/mountinfo") or "").splitlines():
            before, _, behind = line.partition(" - ")
            point = Path(before.split()[4].replace("\\040", " "))
            if path.is_relative_to(point) and len(point.parts) >= best[0]:  # of two on one point the later is on top
                best = len(point.parts), behind.split()[0]
        return best[1]

    def socket_unit(self) -> UnitFacts | None:
        """Return what strep.socket says, and its first overriding directory; drop-ins are not read."""
        for directory in UNIT_DIRECTORIES:
            text = self.text(f"{directory}/{UNIT}")
            if text is None:
                continue
            told: dict[str, list[str]] = {}
            for key, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
                told.setdefault(key, []).append(value.strip())
            size = told.get("ReceiveBuffer", [""])[-1]
            return UnitFacts(
                f"/{directory}/{UNIT}",
                tuple(told.get("ListenDatagram", ())),
                tuple(told.get("ListenStream", ())),
                _size_bytes(size),
            )
        return None


def _links(directory: Path) -> Iterator[str]:
    """Yield where the descriptors of a process lead; none of one that has ended, or is another user's."""
    with contextlib.suppress(OSError):
        for descriptor in directory.iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile, as that of this listing is
                yield str(descriptor.readlink())


def _size_bytes(text: str) -> int | None:
    match = re.fullmatch(r"(\d+)([KMG]?)", text)
    return int(match[1]) * _SUFFIXES.get(match[2], 1) if match else None


def _title(words: list[str]) -> str:
    """Return a command line without its interpreter, directories and options."""
    names = [word.rpartition("/")[2] for word in words if word and not word.startswith("-")]
    return " ".join(names[1:3] if names and names[0].startswith("python") else names[:2])
