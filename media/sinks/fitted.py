"""`Fitted`: a sink of a server, and how to come by another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from media.sinks.contract import MakeSink, Sink


@dataclass(slots=True)
class Fitted:
    """A sink, and what makes another one in its place; None: nobody can."""

    sink: Sink
    make: MakeSink | None = None

    @classmethod
    def of(cls, given: Sink | MakeSink) -> Fitted:
        """Return what a user of the server gave: a sink, or what makes one."""
        if hasattr(given, "receive") and not isinstance(given, type):
            return cls(cast(Sink, given))
        make = cast(MakeSink, given)
        return cls(make(), make)
