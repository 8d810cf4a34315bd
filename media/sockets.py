"""`BoundSockets`: doors that somebody else has bound, for a server that is to receive on them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class BoundSockets:
    """One socket per door; None, and a missing name, is a door that the server binds itself.

    Attributes:
        udp: where STREP arrives.
        ws: where media streams connect; listening.
        rtp: by name of the pair: inbound (rx), outbound (tx).
    """

    udp: socket.socket | None = None
    ws: socket.socket | None = None
    rtp: dict[str, tuple[socket.socket, socket.socket]] = field(default_factory=dict)

    def named(self) -> Iterator[tuple[str, socket.socket]]:
        """Yield every socket with a name by which `of` knows it."""
        for name, sock in (("udp", self.udp), ("ws", self.ws)):
            if sock is not None:
                yield name, sock
        for name, (rx, tx) in self.rtp.items():
            yield f"rx {name}", rx
            yield f"tx {name}", tx

    @classmethod
    def of(cls, named: dict[str, socket.socket]) -> BoundSockets:
        """Return what `named` was made from."""
        pairs = [name.removeprefix("rx ") for name in named if name.startswith("rx ")]
        rtp = {name: (named[f"rx {name}"], named[f"tx {name}"]) for name in pairs}
        return cls(named.get("udp"), named.get("ws"), rtp)

    def close(self) -> None:
        """Close all."""
        for _, sock in self.named():
            sock.close()
