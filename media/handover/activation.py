"""Sockets that systemd has bound and holds (sd_listen_fds(3)): what comes while nobody receives waits in them.

Each one is the door of its type and address. A name (``FileDescriptorName=``) of a door has to be that of the same
one; other names, such as that of the unit, say nothing. With workers the UDP port has a socket for each of them
(``ReusePort=yes``, a unit each), for the kernel steers legs among them; one listening socket is enough for all.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass

from media.config import Endpoint, ServerConfig
from strep.errors import ConfigurationError

FIRST_DESCRIPTOR = 3
"""SD_LISTEN_FDS_START."""
CALLS = "calls"
"""Name of what a process before left with systemd (`media.handover.shelf`): no socket."""
VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
_DOOR_NAME = re.compile(r"udp|ws|[rt]x-.+")
_KINDS: dict[int, str] = {socket.SOCK_DGRAM: "datagrams", socket.SOCK_STREAM: "connections"}


@dataclass(frozen=True, slots=True)
class Door:
    """A door as configured: how its socket may be named, of what type it is, and where."""

    name: str
    kind: int
    endpoint: Endpoint


def take_sockets(
    environment: MutableMapping[str, str], pid: int
) -> tuple[list[tuple[str, socket.socket]], list[int]]:
    """Return what systemd has passed to the process `pid`; the variables are taken away.

    Returns:
        Sockets with their names, and descriptors of what a process before has left.

    Raises:
        ConfigurationError: the variables are not what they should be.
    """
    told_pid, count, names = (environment.pop(name, "") for name in VARIABLES)
    if not told_pid or told_pid != str(pid):  # of another process, such as a shell in between
        return [], []
    if not count.isdecimal():
        raise ConfigurationError(f"LISTEN_FDS={count!r} is no number of sockets")
    named = names.split(":") if names else [""] * int(count)
    if len(named) != int(count):
        raise ConfigurationError(f"LISTEN_FDNAMES has {len(named)} names for LISTEN_FDS={count} sockets")
    taken, left = [], []
    for number, name in enumerate(named, FIRST_DESCRIPTOR):
        os.set_inheritable(number, False)
        if name == CALLS:
            left.append(number)
            continue
        try:
            sock = socket.socket(fileno=number)
        except OSError as error:
            raise ConfigurationError(f"LISTEN_FDS: descriptor {number} ({name}) is no socket: {error}") from None
        sock.setblocking(False)
        taken.append((name, sock))
    return taken, left


def assign(passed: Sequence[tuple[str, socket.socket]], config: ServerConfig) -> dict[str, list[socket.socket]]:
    """Return the sockets by the door that each is, as `Door.name` has it.

    Raises:
        ConfigurationError: one is no door that is configured; the text says which, and what to change.
    """
    doors = doors_of(config)
    assigned: dict[str, list[socket.socket]] = {}
    for name, sock in passed:
        door = _door_of(name, sock, doors)
        assigned.setdefault(door.name, []).append(sock)
    return assigned


def doors_of(config: ServerConfig) -> list[Door]:
    """Return the doors that a socket can be passed for."""
    doors = [Door("udp", socket.SOCK_DGRAM, config.udp)] if config.udp else []
    doors += [Door("ws", socket.SOCK_STREAM, config.ws)] if config.ws else []
    for ports in config.rtp:
        doors.append(Door(f"rx-{ports.name}", socket.SOCK_DGRAM, ports.rx))
        doors.append(Door(f"tx-{ports.name}", socket.SOCK_DGRAM, ports.tx))
    return doors


def _door_of(name: str, sock: socket.socket, doors: Sequence[Door]) -> Door:
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type not in _KINDS:
        raise ConfigurationError(f"systemd passes the socket {name!r}, which is neither UDP nor TCP: take it out")
    host, port = sock.getsockname()[:2]
    what = f"systemd passes a socket for {_KINDS[sock.type]} on {Endpoint(host, port)}"
    what += f" as {name!r}" if name else ""
    if sock.type == socket.SOCK_STREAM and not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise ConfigurationError(f"{what}, which is one connection: Accept=no is needed in its unit")
    named = next((door for door in doors if door.name == name), None)
    if named is None and _DOOR_NAME.fullmatch(name):
        flag = f"--rtp {name[3:]}=..." if name[2:3] == "-" else f"--{name}"
        raise ConfigurationError(f"{what}, and there is no such door: give {flag}, or take the socket out")
    if named is not None and not _fits(named, sock, host, port):
        want = "ListenDatagram" if named.kind == socket.SOCK_DGRAM else "ListenStream"
        raise ConfigurationError(f"{what}, which is to be on {named.endpoint}: make it {want}={named.endpoint}")
    found = named or next((door for door in doors if _fits(door, sock, host, port)), None)
    if found is None:
        known = ", ".join(f"{door.name} on {door.endpoint} ({_KINDS[door.kind]})" for door in doors)
        raise ConfigurationError(f"{what}, which is none of the doors: {known}")
    return found


def _fits(door: Door, sock: socket.socket, host: str, port: int) -> bool:
    if sock.type != door.kind or door.endpoint.port not in (0, port):
        return False
    found = socket.getaddrinfo(door.endpoint.host, None, type=door.kind, flags=socket.AI_PASSIVE)
    wanted = {str(address[4][0]) for address in found}
    return host in wanted or (host == "::" and "0.0.0.0" in wanted)  # which IPv4 reaches as well
