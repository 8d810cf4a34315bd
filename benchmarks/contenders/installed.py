"""What contenders need beside this package: is it here, which version, and how is it installed?"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from ctypes.util import find_library
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

DEBIAN_NODE_MODULES = "/usr/share/nodejs"
PION = Path("/usr/share/gocode/src/github.com/pion/rtp")
_ELEMENTS = ("udpsrc", "rtpssrcdemux", "rtppcmudepay", "mulawdec", "wavenc", "filesink")


class Need(NamedTuple):
    """A program or a package of somebody else.

    Attributes:
        name: as people know it.
        version: asks for it; None if it is not here.
        install: command.
    """

    name: str
    version: Callable[[], str | None]
    install: str


def _package(name: str) -> Callable[[], str | None]:
    def version() -> str | None:
        try:
            return metadata.version(name) if find_spec(name.partition("-")[0]) else None
        except metadata.PackageNotFoundError:
            return None

    return version


def _program(*command: str) -> Callable[[], str | None]:
    def version() -> str | None:
        if shutil.which(command[0]) is None:
            return None
        said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout
        found = re.search(r"\d+(\.\d+)+", said)
        return found.group() if found else None

    return version


def _pion() -> str | None:
    return _debian("golang-github-pion-rtp-dev") or "of Debian" if PION.is_dir() else None


def _debian(package: str) -> str | None:
    """Return the version of a package, without epoch and revision."""
    if shutil.which("dpkg-query") is None:
        return None
    command = ["dpkg-query", "--show", "--showformat", "${Version}", package]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout
    return said.partition(":")[2] or said if ":" in said else said.partition("-")[0] or None


def _gstreamer() -> str | None:
    inspect = shutil.which("gst-inspect-1.0")
    if inspect is None or find_library("gstreamer-1.0") is None:
        return None
    for element in _ELEMENTS:
        if subprocess.run([inspect, "--exists", element], check=False, timeout=60).returncode:
            return None
    return _program("gst-launch-1.0", "--gst-version")()


def _node_ws() -> str | None:
    if shutil.which("node") is None:
        return None
    script = f"module.paths.push({DEBIAN_NODE_MODULES!r}); console.log(require('ws/package.json').version)"
    return subprocess.run(["node", "-e", script], capture_output=True, text=True, check=False).stdout.strip() or None


def _glibc() -> str | None:
    name, found = platform.libc_ver()
    return found if name == "glibc" else None


NEEDS = {
    "glibc": Need("glibc", _glibc, "which this system does not use"),
    "uvloop": Need("uvloop", _package("uvloop"), "pip install '.[fast]'"),
    "aiortc": Need("aiortc", _package("aiortc"), "pip install '.[bench]'"),
    "fastapi": Need("FastAPI", _package("fastapi"), "pip install '.[bench]'"),
    "uvicorn": Need("uvicorn", _package("uvicorn"), "pip install '.[bench]'"),
    "pipecat": Need("pipecat", _package("pipecat-ai"), "pip install pipecat-ai"),
    "node": Need("Node", _program("node", "--version"), "apt-get install nodejs"),
    "node-ws": Need("ws", _node_ws, "apt-get install node-ws"),
    "go": Need("Go", _program("go", "version"), "apt-get install golang-go"),
    "pion": Need("pion/rtp", _pion, "apt-get install golang-github-pion-rtp-dev"),
    "gstreamer": Need(
        "GStreamer",
        _gstreamer,
        "apt-get install gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good",
    ),
}
"""By key, as `Kind.needs` has them."""


@cache
def version(key: str) -> str | None:
    """Return which version of `NEEDS[key]` is here; None if none is."""
    return NEEDS[key].version()


def missing_of(keys: Iterable[str]) -> str:
    """Return what is not here and how to install it, empty if everything is."""
    absent = [NEEDS[key] for key in keys if version(key) is None]
    return "; ".join(f"no {need.name} here, {need.install}" for need in absent)


def versions(keys: Iterable[str]) -> str:
    """Return names and versions of what is here."""
    here = {NEEDS[key].name: version(key) for key in keys}
    return ", ".join(f"{name} {found}" for name, found in here.items() if found)
