"""The way back: messages to the carrier, handed over without waiting."""

from __future__ import annotations

from typing import Protocol

from media.talk import contract
from media.ws.closing import Close


class Wire(contract.Wire, Protocol):
    """The sending half of one socket, and how to end it. What is sent goes out in order.

    The shell's own puts no bound on what its peer does not read. `MediaStreamConnection` does, and is the one that
    hosts are given: see `ConnectionOptions.max_unsent_bytes`.
    """

    def close(self, close: Close) -> None:
        """Begin the closing handshake; a wire that is closing already keeps its reason."""


class NoWire:
    """Goes nowhere."""

    is_open = True
    buffered_bytes = 0

    def send(self, message: str | bytes) -> None:
        """Drop it."""

    def close(self, close: Close) -> None:
        """Do nothing."""
