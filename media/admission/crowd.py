"""`Crowd`: sockets that have not said who they are yet; few are let in, so that they cost little."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network


def network_of(address: str) -> str:
    """Return what stands for one peer: an IPv4 address, or the /64 of an IPv6 one, which is one subscriber's."""
    if ":" not in address:
        return address
    mapped = IPv6Address(address).ipv4_mapped  # how a socket of both families has them
    if mapped is not None:
        return str(mapped)
    return str(IPv6Network((IPv6Address(address).packed, 64), strict=False))


class Crowd:
    """Strangers by age: where there are too many, the oldest of the address that has most goes.

    Whoever means well is known within a second; whoever fills the room holds its sockets for as long as it can.

    Attributes:
        expelled: how many had to go.
    """

    def __init__(self, most: int) -> None:
        """Let `most` in at a time."""
        self.expelled = 0
        self._most = most
        self._strangers: OrderedDict[object, tuple[str, Callable[[], None]]] = OrderedDict()
        self._by_address: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._strangers)

    def enter(self, socket: object, address: str, expel: Callable[[], None]) -> None:
        """Let `socket` of `address` in; `expel` is called, and it has left, if it has to go before it leaves."""
        address = network_of(address)
        self._strangers[socket] = address, expel
        self._by_address[address] += 1
        if len(self._strangers) > self._most:
            self._expel_one()

    def leave(self, socket: object) -> None:
        """Forget `socket`: it is known by now, or gone."""
        found = self._strangers.pop(socket, None)
        if found is not None:
            self._by_address[found[0]] -= 1
            if self._by_address[found[0]] <= 0:
                del self._by_address[found[0]]

    def _expel_one(self) -> None:
        most = max(self._by_address.values())
        socket, (_, expel) = next(item for item in self._strangers.items() if self._by_address[item[1][0]] == most)
        self.leave(socket)
        self.expelled += 1
        expel()
