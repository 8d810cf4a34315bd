"""Shell: reads a machine into `Facts`. Ports are bound for a moment, and a file without a name is written."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import media
from media.admission.capacity import free_bytes
from media.config import Endpoint
from media.doctor.demand import Demand
from media.doctor.facts import (
    ClockFacts,
    DirectoryFacts,
    DiskFacts,
    Facts,
    MachineFacts,
    NetworkFacts,
    PortFacts,
    SoftwareFacts,
)
from media.doctor.kernel import Kernel
from media.doctor.software import EXTRAS, PROGRAMS
from media.receivers import ask_for_buffer
from strep.clock import NS_PER_SECOND, Clock
from strep.mmsg import IS_SUPPORTED

PIECE_BYTES, MOST_PIECES, MOST_NS = 1 << 20, 32, 2 * NS_PER_SECOND
SMALL_BYTES, SYNCS = 16 << 10, 8
ROOM_BYTES = 256 << 20
"""Nothing is measured on a disk that has less left."""
THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
_PAGE_BYTES = 4096
_UNSYNCHRONISED = 0x40


def read(demand: Demand, clock: Clock, kernel: Kernel, environment: dict[str, str]) -> Facts:
    """Return what this machine is like, for a server that is to do what `demand` says."""
    before_ns = clock.wall_ns() - clock.now_ns()
    disk = _disk(demand, clock, kernel)
    network = _network(demand, kernel)
    step_s = (clock.wall_ns() - clock.now_ns() - before_ns) / NS_PER_SECOND
    software = _software(kernel)
    return Facts(network, _clock(clock, kernel, step_s), disk, _machine(kernel, environment), software)


def _network(demand: Demand, kernel: Kernel) -> NetworkFacts:
    granted_bytes, is_forced = None, False
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        granted_bytes, is_forced = ask_for_buffer(sock, demand.server.receive_buffer_bytes)
    udp = kernel.counted("proc/net/snmp", "Udp")
    memory_pages = kernel.numbers("proc/sys/net/ipv4/udp_mem")
    span = kernel.numbers("proc/sys/net/ipv4/ip_local_port_range")
    return NetworkFacts(
        granted_bytes,
        is_forced,
        kernel.number("proc/sys/net/core/rmem_max"),
        memory_pages[1] * _PAGE_BYTES if len(memory_pages) == 3 else None,
        udp.get("InDatagrams"),
        udp.get("RcvbufErrors"),
        kernel.backlog_drops(),
        kernel.number("proc/sys/net/core/netdev_max_backlog"),
        kernel.number("proc/sys/net/netfilter/nf_conntrack_count"),
        kernel.number("proc/sys/net/netfilter/nf_conntrack_max"),
        (span[0], span[1]) if len(span) == 2 else None,
        _spans(kernel.text("proc/sys/net/ipv4/ip_local_reserved_ports") or ""),
        bool(kernel.text("proc/net/if_inet6")),
        kernel.number("proc/sys/net/ipv6/bindv6only") == 1,
        tuple(_port(name, kind, endpoint, kernel) for name, kind, endpoint in demand.doors()),
    )


def _spans(text: str) -> tuple[tuple[int, int], ...]:
    pieces = [piece.partition("-") for piece in text.split(",") if piece]
    return tuple((int(first), int(last or first)) for first, _, last in pieces)


def _port(name: str, kind: str, endpoint: Endpoint, kernel: Kernel) -> PortFacts:
    bound = kernel.bound(kind, endpoint.port) if endpoint.port else []
    refusal = _try_to_bind(kind, endpoint)
    holder = kernel.holder({found.inode for found in bound}) if refusal and bound else ""
    drops = sum(found.drops for found in bound)
    return PortFacts(name, "udp" if kind == "udp" else "tcp", endpoint.host, endpoint.port, refusal, holder, drops)


def _try_to_bind(kind: str, endpoint: Endpoint) -> str:
    """Bind and let go; return the name of the error, "" if there was none."""
    wanted = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
    try:
        family, _, protocol, _, address = socket.getaddrinfo(
            endpoint.host, endpoint.port, type=wanted, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, wanted, protocol) as sock:
            if kind == "tcp":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as asyncio does
            sock.bind(address)
    except socket.gaierror as error:
        return error.strerror or "no such host"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return ""


def _disk(demand: Demand, clock: Clock, kernel: Kernel) -> DiskFacts:
    files = {"cdr": demand.call_records(clock.wall_ns())}
    directories = tuple(_directory(option, path, files.get(option)) for option, path in demand.directories())
    recorded = next((directory for directory in directories if directory.option == "record"), None)
    if recorded is None:
        return DiskFacts(directories=directories)
    nearest = Path(recorded.nearest)
    free, free_files = free_bytes(nearest), None
    with contextlib.suppress(OSError):
        disk = os.statvfs(nearest)
        free_files = disk.f_favail if disk.f_files else None
    speed, sync_s = None, None
    if recorded.is_writable and (free or 0) > ROOM_BYTES:
        with contextlib.suppress(OSError):
            speed, sync_s = measure(nearest, clock)
    return DiskFacts(kernel.file_system(nearest.resolve()), free, free_files, speed, sync_s, directories)


def _directory(option: str, path: Path, file: Path | None) -> DirectoryFacts:
    """Look at a directory, or where it is only one file that is written to, and is there, at that."""
    absolute = path.absolute()
    nearest = next(place for place in (absolute, *absolute.parents) if place.exists())
    is_writable = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
    if file is not None and file.exists():
        is_writable = file.is_file() and os.access(file, os.W_OK)
    found = nearest.stat()
    is_own = found.st_uid != 0 and os.geteuid() in (0, found.st_uid) and not found.st_mode & stat.S_ISVTX
    mode = found.st_mode & 0o777 if nearest == absolute else None
    return DirectoryFacts(option, str(absolute), str(nearest), is_writable, mode, is_own)


def measure(directory: Path, clock: Clock) -> tuple[float, float]:
    """Write a file of 32 MiB, or for 2 s, and sync it; then a little, some times. The file has no name.

    Returns:
        Bytes a second with the sync, and seconds of the longest sync of a little.

    Raises:
        OSError: the disk is full, or gone.
    """
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        begun_ns, piece, written = clock.now_ns(), os.urandom(PIECE_BYTES), 0
        while written < MOST_PIECES and clock.now_ns() - begun_ns < MOST_NS:
            file.write(piece)
            written += 1
        os.fsync(file.fileno())
        speed = written * PIECE_BYTES * NS_PER_SECOND / max(clock.now_ns() - begun_ns, 1)
        return speed, max(_syncs(file.fileno(), piece[:SMALL_BYTES], clock)) / NS_PER_SECOND


def _syncs(descriptor: int, little: bytes, clock: Clock) -> Iterator[int]:
    for _ in range(SYNCS):
        begun_ns = clock.now_ns()
        os.write(descriptor, little)
        os.fsync(descriptor)
        yield clock.now_ns() - begun_ns


def _clock(clock: Clock, kernel: Kernel, step_s: float) -> ClockFacts:
    is_synchronised, error_s = _adjusted()
    source = kernel.text("sys/devices/system/clocksource/clocksource0/current_clocksource")
    is_behind = clock.wall_ns() < Path(media.__file__).stat().st_mtime_ns
    return ClockFacts(is_synchronised, error_s if is_synchronised else None, step_s, source, is_behind)


class _Timex(ctypes.Structure):
    """The first fields of struct timex, adjtimex(2), and room for the others. `modes` 0 sets nothing."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("max_error_us", ctypes.c_long),
        ("estimated_error_us", ctypes.c_long),
        ("status", ctypes.c_int),
        ("others", ctypes.c_byte * 256),
    )


def _adjusted() -> tuple[bool | None, float | None]:
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    state = _Timex()
    if adjtimex is None or adjtimex(ctypes.byref(state)) < 0:
        return None, None
    return not state.status & _UNSYNCHRONISED, state.max_error_us / 1e6


def _machine(kernel: Kernel, environment: dict[str, str]) -> MachineFacts:
    limit_bytes, used_bytes = kernel.memory_limit()
    soft, hard = _file_limits()
    system_files = kernel.numbers("proc/sys/fs/file-nr")
    mask = (kernel.text("proc/self/status") or "").partition("Umask:\t")[2][:4]
    threads = [f"{name}={environment[name]}" for name in THREAD_VARIABLES if environment.get(name, "1") != "1"]
    return MachineFacts(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        kernel.quota_cores(),
        kernel.throttled(),
        kernel.text("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        kernel.stolen(),
        kernel.available_bytes(),
        limit_bytes,
        used_bytes,
        soft,
        hard,
        system_files[0] if len(system_files) == 3 else None,
        system_files[2] if len(system_files) == 3 else None,
        os.getuid() if hasattr(os, "getuid") else None,
        int(mask, 8) if mask.isdecimal() else None,
        tuple(threads),
    )


def _file_limits() -> tuple[int | None, int | None]:
    try:
        import resource
    except ImportError:
        return None, None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft, None if hard == resource.RLIM_INFINITY else hard


def _software(kernel: Kernel) -> SoftwareFacts:
    modules = {module for extra in EXTRAS for module in extra.modules if _is_there(module)}
    programs = {name for name in PROGRAMS if shutil.which(name)}
    return SoftwareFacts(frozenset(modules), frozenset(programs), IS_SUPPORTED, kernel.socket_unit())


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # nor is the package that it is in
        return False
