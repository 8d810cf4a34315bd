"""`BoundSockets`: doors that somebody else has bound, for a server that is to receive on them."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from strep.errors import ConfigurationError


@dataclass(slots=True)
class BoundSockets:
    """One socket per door; None, and a missing name, is a door that the server binds itself.

    Attributes:
        udp: where STREP arrives.
        ws: where media streams connect; listening.
        http: where HTTP is served, likewise.
        rtp: by name of the pair: inbound (rx), outbound (tx).
    """

    udp: socket.socket | None = None
    ws: socket.socket | None = None
    rtp: dict[str, tuple[socket.socket, socket.socket]] = field(default_factory=dict)
    http: socket.socket | None = None

    def named(self) -> Iterator[tuple[str, socket.socket]]:
        """Yield every socket with a name by which `of` knows it."""
        for name, sock in (("udp", self.udp), ("ws", self.ws), ("http", self.http)):
            if sock is not None:
                yield name, sock
        for name, (rx, tx) in self.rtp.items():
            yield f"rx {name}", rx
            yield f"tx {name}", tx

    @classmethod
    def of_doors(cls, given: Mapping[str, Sequence[socket.socket]], pairs: Iterable[str]) -> BoundSockets:
        """Return what systemd has passed for one process, by door (`media.handover.activation`).

        Raises:
            ConfigurationError: two for one door, or half a pair.
        """
        for name, sockets in given.items():
            if len(sockets) > 1:
                raise ConfigurationError(
                    f"systemd passes {len(sockets)} sockets for {name}, and one process takes one: "
                    f"give --workers {len(sockets)}, or leave one in its units"
                )
        one = {name: sockets[0] for name, sockets in given.items()}
        rtp = {name: pair for name in pairs if (pair := pair_of(given, name)) is not None}
        return cls(one.get("udp"), one.get("ws"), rtp)

    @classmethod
    def of(cls, named: dict[str, socket.socket]) -> BoundSockets:
        """Return what `named` was made from."""
        pairs = [name.removeprefix("rx ") for name in named if name.startswith("rx ")]
        rtp = {name: (named[f"rx {name}"], named[f"tx {name}"]) for name in pairs}
        return cls(named.get("udp"), named.get("ws"), rtp, named.get("http"))

    def close(self) -> None:
        """Close all."""
        for _, sock in self.named():
            sock.close()


def pair_of(given: Mapping[str, Sequence[socket.socket]], name: str) -> tuple[socket.socket, socket.socket] | None:
    """Return the sockets of a pair of RTP ports that systemd has passed, inbound and outbound; None: it has not.

    Raises:
        ConfigurationError: half a pair, or two for one of its ports.
    """
    rx, tx = given.get(f"rx-{name}", ()), given.get(f"tx-{name}", ())
    if not rx and not tx:
        return None
    if not rx or not tx:
        raise ConfigurationError(f"systemd passes one socket of the pair {name}: both are needed, or neither")
    if len(rx) > 1 or len(tx) > 1:
        raise ConfigurationError(
            f"systemd passes {len(rx)} and {len(tx)} sockets for the pair {name}, of which one process has all: "
            "leave one of each in its units"
        )
    return rx[0], tx[0]
