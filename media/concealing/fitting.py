"""Which sinks get what is filled, as configured."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from media.config import ServerConfig
from media.sinks.concealed import ConcealedSink
from media.sinks.contract import MakeSink, Sink
from media.sinks.fitted import Fitted
from strep.concealment import EDGE_MS
from strep.errors import ConfigurationError
from strep.table import TimelineSettings

if TYPE_CHECKING:
    from media.talk.switchboard import Switchboard

HEARING = "hearing"


def timeline_settings(config: ServerConfig, sinks: Sequence[Fitted], block_ms: int) -> TimelineSettings:
    """Return those of all timelines; what follows a loss goes along with its block only where somebody conceals."""
    conceals = config.conceal or any(isinstance(fitted.sink, ConcealedSink) for fitted in sinks)
    beyond_ms = EDGE_MS if conceals else 0
    return TimelineSettings(block_ms=block_ms, reorder_wait_ms=config.reorder_wait_ms, beyond_ms=beyond_ms)


def concealed(sinks: Sequence[Fitted], config: ServerConfig, switchboard: Switchboard | None) -> list[Fitted]:
    """Put concealment in front of the sinks that it is configured for, and of what applications hear.

    Raises:
        ConfigurationError: there is no such sink, or it does without.
    """
    names = config.conceal
    if HEARING in names:
        raise ConfigurationError(f"conceal: {HEARING} knows what is lost and does not listen to it, filled or not")
    known = [fitted.sink.options.name for fitted in sinks]
    if switchboard is not None and switchboard.has_ears:
        listening = switchboard.listening
        known.append(listening.options.name)
        if listening.options.name in names:
            listening.conceal()
    for name in names:
        if name not in known:
            raise ConfigurationError(f"conceal: there is no sink {name!r}, only {', '.join(known) or 'none'}")
    return [_behind(fitted) if fitted.sink.options.name in names else fitted for fitted in sinks]


def _behind(fitted: Fitted) -> Fitted:
    make = fitted.make
    return Fitted(ConcealedSink(fitted.sink), None if make is None else partial(_make, make))


def _make(make: MakeSink) -> Sink:
    return ConcealedSink(make())
