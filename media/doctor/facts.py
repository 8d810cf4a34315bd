"""`Facts`: what was read of a machine, as plain values. None is what could not be read here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class PortFacts:
    """An address that the server is to have.

    Attributes:
        name: of the option: udp, rx of rtp NAME, ws, ...
        kind: udp or tcp.
        host, port: as configured.
        refusal: name of the errno with which it could not be bound, as EADDRINUSE; "" if it could.
        holder: who has it, as far as can be seen; "" if nobody or unknown.
        drops: datagrams that the kernel threw away at the socket which is bound there.
    """

    name: str
    kind: Literal["udp", "tcp"]
    host: str
    port: int
    refusal: str = ""
    holder: str = ""
    drops: int = 0


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """Sockets and what the kernel counts of them.

    Attributes:
        granted_bytes: receive buffer that this process gets when it asks for that of the configuration.
        is_forced: it got that as root (SO_RCVBUFFORCE), beyond `rmem_max_bytes`.
        rmem_max_bytes: net.core.rmem_max.
        udp_memory_bytes: net.ipv4.udp_mem: all UDP sockets together, where the kernel begins to throttle.
        received, buffer_errors: datagrams since boot, and those that found a full buffer.
        backlog_drops: packets that no core took from the card in time, since boot.
        backlog: net.core.netdev_max_backlog.
        connections, most_connections: of connection tracking; None where there is none.
        ephemeral: first and last port that the system gives to whoever asks for any.
        reserved: ports of those that it does not give away.
        has_ipv6: this machine has IPv6 addresses.
        is_ipv6_only: sockets on :: get no IPv4 (net.ipv6.bindv6only).
        ports: see there.
    """

    granted_bytes: int | None = None
    is_forced: bool = False
    rmem_max_bytes: int | None = None
    udp_memory_bytes: int | None = None
    received: int | None = None
    buffer_errors: int | None = None
    backlog_drops: int | None = None
    backlog: int | None = None
    connections: int | None = None
    most_connections: int | None = None
    ephemeral: tuple[int, int] | None = None
    reserved: tuple[tuple[int, int], ...] = ()
    has_ipv6: bool = False
    is_ipv6_only: bool = False
    ports: tuple[PortFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """Time.

    Attributes:
        is_synchronised: the kernel's clock is kept right by somebody (adjtimex(2)).
        error_s: by how much it may be wrong, at most, by the kernel's own reckoning.
        step_s: by how much wall time has moved against monotonic time during the examination.
        source: what the kernel reads time from.
        is_behind: wall time is before that of the program's own files.
    """

    is_synchronised: bool | None = None
    error_s: float | None = None
    step_s: float | None = None
    source: str | None = None
    is_behind: bool | None = None


@dataclass(frozen=True, slots=True)
class DirectoryFacts:
    """A directory that the server is to write to.

    Attributes:
        option: that names it.
        path: as configured.
        nearest: what there is of it: itself, or the directory in which it would be made.
        is_writable: by this user.
        mode: its permission bits; None if it is not there yet.
        is_own: it is this user's to change, for root somebody's: not root's, and not one for everybody such as /tmp.
    """

    option: str
    path: str
    nearest: str
    is_writable: bool
    mode: int | None = None
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """The disk of the recordings.

    Attributes:
        file_system: its type, as ext4.
        free_bytes: that this user may write.
        free_files: that may be made; None where there is no such limit.
        write_bytes_per_s: measured, with the sync behind it.
        sync_s: the longest of some syncs of little.
        directories: all that are written to.
    """

    file_system: str | None = None
    free_bytes: int | None = None
    free_files: int | None = None
    write_bytes_per_s: float | None = None
    sync_s: float | None = None
    directories: tuple[DirectoryFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """Processor, memory, limits, and who runs it.

    Attributes:
        cores: that this process may use.
        quota_cores: processor time that its control group may use a second, in cores.
        throttled: periods in which the group was made to wait.
        governor: of the first core's frequency.
        stolen: share of time, since boot, that the hypervisor gave to others.
        available_bytes: memory that is to be had.
        limit_bytes, used_bytes: of its control group; None where it has no limit.
        files_soft, files_hard: RLIMIT_NOFILE; None is no limit.
        system_files, most_system_files: open in the whole system, and its limit.
        user: numeric id.
        umask: of this process.
        threads: OPENBLAS_NUM_THREADS, MKL_..., OMP_... above 1, as NAME=N.
    """

    cores: int = 1
    quota_cores: float | None = None
    throttled: int | None = None
    governor: str | None = None
    stolen: float | None = None
    available_bytes: int | None = None
    limit_bytes: int | None = None
    used_bytes: int = 0
    files_soft: int | None = None
    files_hard: int | None = None
    system_files: int | None = None
    most_system_files: int | None = None
    user: int | None = None
    umask: int | None = None
    threads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnitFacts:
    """`strep.socket`, where it is installed.

    Attributes:
        path: of the unit.
        datagrams, streams: addresses as it has them.
        buffer_bytes: ReceiveBuffer=.
    """

    path: str
    datagrams: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    buffer_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class SoftwareFacts:
    """What is installed.

    Attributes:
        modules: of `media.doctor.software.EXTRAS`, those that can be imported.
        programs: of `media.doctor.software.PROGRAMS`, those on the path.
        has_recvmmsg: this system has it.
        unit: see there; None where it is not installed.
    """

    modules: frozenset[str] = frozenset()
    programs: frozenset[str] = frozenset()
    has_recvmmsg: bool = True
    unit: UnitFacts | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything."""

    network: NetworkFacts
    clock: ClockFacts
    disk: DiskFacts
    machine: MachineFacts
    software: SoftwareFacts
