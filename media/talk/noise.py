"""Noise suppression as applications switch it: `Denoisable` is a part of `LiveCall`, `NoiseControl` has the sinks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from media.denoising.rules import DIRECTIONS
from media.sinks.contract import CallInfo
from strep.errors import UsageError
from strep.header import Direction

if TYPE_CHECKING:
    from media.talk.listening import Hearing


class Switchable(Protocol):
    """A sink with noise suppression in front."""

    def switch(self, call: CallInfo, direction: Direction, *, on: bool) -> None:
        """Begin or cease to filter a track of a live call, with its next block; from any thread."""


class NoiseControl:
    """The sinks of a server that are switched."""

    def __init__(self) -> None:
        self._sinks: dict[str, list[Switchable]] = {}

    def add(self, name: str, sink: Switchable) -> None:
        """Let `sink` be switched by its name."""
        self._sinks.setdefault(name, []).append(sink)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sinks."""
        return tuple(self._sinks)

    def replace(self, name: str, old: Switchable, new: Switchable) -> None:
        """Let `new` be switched where `old` was."""
        self._sinks[name] = [new if sink is old else sink for sink in self._sinks[name]]

    def suppress(self, call: CallInfo, direction: str, sinks: Sequence[str], *, on: bool) -> None:
        """See `Denoisable.suppress_noise`."""
        if DIRECTIONS.get(direction, DIRECTIONS["none"]) == DIRECTIONS["none"]:
            raise ValueError(f"direction={direction!r}: inbound, outbound or both")
        if isinstance(sinks, str) or not sinks:
            raise ValueError(f"sinks={sinks!r}: a list of names")
        for name in sinks:
            if name not in self._sinks:
                known = ", ".join(self._sinks) or "none"
                raise UsageError(f"no noise suppression is in front of {name!r}, only of {known}: see --denoise")
        for name in sinks:
            for sink in self._sinks[name]:
                for track in DIRECTIONS[direction]:
                    sink.switch(call, track, on=on)


class Denoisable:
    """A call in whose audio noise is suppressed while it goes on."""

    info: CallInfo
    _hearing: Hearing

    @property
    def denoisable(self) -> tuple[str, ...]:
        """Names of the sinks that noise suppression is in front of."""
        return self._hearing.noise.names

    def suppress_noise(
        self, direction: str = "inbound", *, on: bool = True, sinks: Sequence[str] = ("applications",)
    ) -> None:
        """Suppress noise from the next block on, or cease to, in what `listen` gives or in what sinks get.

        Args:
            direction: inbound (what the carrier received), outbound or both.
            on: False ceases.
            sinks: names of those that ``--denoise`` put it in front of; "applications" is what `listen` gives.

        Raises:
            ValueError: no such direction.
            UsageError: a sink without it.
        """
        self._hearing.noise.suppress(self.info, direction, sinks, on=on)
