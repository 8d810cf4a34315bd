"""On what machine was this measured, and how busy was it?"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import msgspec

_REPOSITORY = Path(__file__).resolve().parent.parent


class Environment(msgspec.Struct, frozen=True):
    """The machine, the programs, and the load at the beginning."""

    date: str
    cpu: str
    cpus: int
    memory_gib: float
    kernel: str
    python: str
    packages: dict[str, str]
    commit: str
    """Of this repository; "+" behind it: with changes that are not committed."""
    rmem_max_bytes: int
    """net.core.rmem_max: the most that SO_RCVBUF gives to users other than root."""
    scratch: str
    """File system that the recordings are written to."""
    load_average_before: float
    """Of the last minute, when the run began: processes that wanted a core."""

    def rows(self) -> list[list[str]]:
        """Return name and value, for tables."""
        packages = ", ".join(f"{name} {version}" for name, version in self.packages.items())
        return [
            ["when", f"{self.date}, commit {self.commit}"],
            ["machine", f"{self.cpu}, {self.cpus} cores, {self.memory_gib:g} GiB, {self.kernel}"],
            ["programs", f"{self.python}, {packages}"],
            ["recordings on", self.scratch],
            ["load average before", f"{self.load_average_before:g}"],
        ]


def describe(scratch: Path, packages: Iterable[str] = ()) -> Environment:
    """Look at this machine; recordings go to `scratch`, `packages` matter besides numpy and uvloop."""
    return Environment(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        cpu=_cpu(),
        cpus=os.cpu_count() or 1,
        memory_gib=round(os.sysconf("SC_PHYS_PAGES") * resource.getpagesize() / 2**30, 1),
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages={name: _version(name) for name in ("numpy", "uvloop", *packages)},
        commit=_commit(),
        rmem_max_bytes=_rmem_max(),
        scratch=_file_system(scratch),
        load_average_before=round(os.getloadavg()[0], 2),
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(_REPOSITORY), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _commit() -> str:
    if not (_REPOSITORY / "pyproject.toml").exists():
        return f"of strep {_version('strep')}"
    try:
        return _git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain", "strep", "media") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _rmem_max() -> int:
    try:
        return int(Path("/proc/sys/net/core/rmem_max").read_text())
    except OSError:
        return 0


def _file_system(path: Path) -> str:
    """Return type and mount point of what `path` lies on: the longest mount point above it."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return sys.platform
    where = path.resolve()
    above = [(point, kind) for point, kind in mounts if where == Path(point) or Path(point) in where.parents]
    point, kind = max(above, key=lambda mount: len(mount[0]), default=("?", "?"))
    return f"{kind} at {point}"
