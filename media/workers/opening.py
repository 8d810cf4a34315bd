"""The sockets of all workers, opened by the supervisor and held by it to the end.

STREP and WebSockets: one socket per worker on the same port (SO_REUSEPORT). The kernel steers STREP datagrams by
call_leg_id (`media.workers.steering`) and spreads new connections. A pair of plain RTP ports belongs to one worker
as a whole: a packet does not say which call it is of, so both directions have to be in one place. The first worker
puts on the disk what all of them write (`media.sinks.syncing`), and the supervisor what they wrote last.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from media.config import Endpoint, RtpPorts, ServerConfig
from media.receivers import bind_pair, bind_udp
from media.sockets import BoundSockets, pair_of
from media.workers.steering import steer
from strep.errors import ConfigurationError

BACKLOG = 100
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("=9I")
_DROPS = 8
"""Place of the datagrams dropped in what SO_MEMINFO returns (linux/sock_diag.h)."""


class WorkerDoors:
    """Everything that the workers listen on.

    Attributes:
        configs: of each worker: only the doors that it has, and its share of what may come to all.
        sockets: of each worker.
        addresses: as `Server.addresses`, of all doors.
    """

    def __init__(
        self,
        config: ServerConfig,
        workers: int,
        given: Mapping[str, Sequence[socket.socket]] | None = None,
        inner: Sequence[socket.socket] = (),
    ) -> None:
        """Bind all, but those that are `given` by systemd, see `media.handover.activation`, and `inner` ones.

        Raises:
            ConfigurationError: of a door a number of sockets is given that does not do.
            OSError: an address cannot be had; whatever was bound before is closed again.
        """
        pairs = [config.rtp[index::workers] for index in range(workers)]
        sync_s = [config.sync_s, *[0.0] * (workers - 1)]
        share = replace(
            config,
            max_calls=-(-config.max_calls // workers),
            max_packets_per_s=-(-config.max_packets_per_s // workers),
        )
        self.configs = [replace(share, rtp=rtp, sync_s=every) for rtp, every in zip(pairs, sync_s, strict=True)]
        self.sockets = [BoundSockets(http=inner[index] if inner else None) for index in range(workers)]
        self.addresses: dict[str, Any] = {}
        self._drops, self._has_closed = 0, False
        self._given = given or {}
        try:
            self._bind(config, workers)
        except BaseException:
            self.close()
            raise

    def _bind(self, config: ServerConfig, workers: int) -> None:
        buffer_bytes = config.receive_buffer_bytes
        if config.udp is not None:

            def bind(endpoint: Endpoint, joins_group: bool) -> socket.socket:
                return bind_udp(endpoint, buffer_bytes, joins_group=joins_group)

            group = self._group("udp", workers) or _bind_group(config.udp, workers, bind)
            for mine, sock in zip(self.sockets, group, strict=True):
                mine.udp = sock
            if workers > 1:
                steer(group[0], workers)
            self.addresses["udp"] = _address(group[0])
        if config.rtp:
            owners = {ports.name: index for index, mine in enumerate(self.configs) for ports in mine.rtp}
            self.addresses["rtp"] = {
                ports.name: self._bind_pair(ports, self.sockets[owners[ports.name]], buffer_bytes)
                for ports in config.rtp
            }
        if config.ws is not None:
            listening = self._group("ws", workers, can_be_one=True)
            group = listening or _bind_group(config.ws, workers, _bind_tcp)
            for mine, sock in zip(self.sockets, group, strict=True):
                mine.ws = sock
                if not listening:
                    sock.listen(BACKLOG)
            self.addresses["ws"] = _address(group[0])

    def _group(self, name: str, workers: int, *, can_be_one: bool = False) -> list[socket.socket]:
        """Return the sockets that systemd has passed for a door that all workers share, none if there are none."""
        group = list(self._given.get(name, ()))
        if can_be_one and len(group) == 1:
            return [group[0], *(group[0].dup() for _ in range(workers - 1))]
        if group and len(group) != workers:
            raise ConfigurationError(
                f"systemd passes {len(group)} sockets for {name}, and {workers} workers need as many: "
                f"{workers} socket units with ReusePort=yes and the same address, or --workers {len(group)}"
            )
        if len(group) > 1 and not all(sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) for sock in group):
            raise ConfigurationError(f"systemd passes sockets for {name} without ReusePort=yes: their units need it")
        return group

    def _bind_pair(self, ports: RtpPorts, mine: BoundSockets, buffer_bytes: int) -> dict[str, str]:
        rx, tx = pair_of(self._given, ports.name) or bind_pair(ports.rx, ports.tx, buffer_bytes)
        mine.rtp[ports.name] = rx, tx
        return {"rx": _address(rx), "tx": _address(tx)}

    def kernel_drops(self) -> int:
        """Return the datagrams that the kernel dropped for want of buffer; it goes on counting without workers."""
        udp = [sock for mine in self.sockets for name, sock in mine.named() if name not in ("ws", "http")]
        if not self._has_closed:
            self._drops = sum(_drops(sock) for sock in udp)
        return self._drops

    def close_listeners(self) -> None:
        """Let new connections be refused as soon as the workers stop listening."""
        for mine in self.sockets:
            if mine.ws is not None:
                mine.ws.close()
                mine.ws = None

    def close(self) -> None:
        """Close everything; a second call does nothing."""
        self.kernel_drops()
        self._has_closed = True
        for mine in self.sockets:
            mine.close()


def _bind_group(
    endpoint: Endpoint, size: int, bind: Callable[[Endpoint, bool], socket.socket]
) -> list[socket.socket]:
    """Return `size` sockets on one port.

    The first one is bound for itself alone, which fails if anybody is there, and lets others in afterwards:
    with SO_REUSEPORT from the beginning it would join another server of the same user without a word.
    """
    group = [bind(endpoint, False)]
    try:
        group[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        there = Endpoint(*group[0].getsockname()[:2])
        group += [bind(there, True) for _ in range(size - 1)]
    except BaseException:
        for sock in group:
            sock.close()
        raise
    return group


def _bind_tcp(endpoint: Endpoint, joins_group: bool) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if joins_group:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot accept WebSockets on {endpoint}: {error.strerror}") from error
    return sock


def _drops(sock: socket.socket) -> int:
    counters = _MEMINFO.unpack(sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))
    return int(counters[_DROPS])


def _address(sock: socket.socket) -> str:
    return str(Endpoint(*sock.getsockname()[:2]))
