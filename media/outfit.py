"""What a server is fitted with, as configured: sinks for its audio, and companions that run beside the media path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from media.config import ServerConfig
from media.events.bus import EventBus
from media.events.files import EventFiles
from media.sinks.contract import Sink
from media.sinks.finisher import Finisher
from media.sinks.hearing import HearingSink
from media.sinks.recording import RecordingSink
from media.sinks.salvage import Salvage
from media.sinks.takes.sink import TakesSink
from strep.clock import Clock

if TYPE_CHECKING:
    from media.server import Server


class Companion(Protocol):
    """Something with a life of its own beside the media path, such as a subscriber of events or a shell."""

    name: str

    async def start(self) -> None:
        """Begin; the doors are open.

        Raises:
            OSError: it cannot; the server does not start then.
        """

    async def close(self) -> None:
        """End, within seconds; all calls have ended, and the sinks have finished."""

    def snapshot(self) -> dict[str, Any]:
        """Return counters, JSON values."""


def sinks_of(config: ServerConfig, bus: EventBus, clock: Clock, finisher: Finisher) -> list[Sink]:
    """Return the sinks of our own; recordings that are closed go to `finisher`."""
    sinks: list[Sink] = []
    if config.record is not None:
        sinks.append(RecordingSink(config.record, config.record_format, clock, config.max_tracks, finisher))
    if config.detect:
        sinks.append(HearingSink(config.detect, bus))
    if config.nats.urls:
        from media.nats.sink import NatsSink

        sinks.append(NatsSink(config.nats.select))
    if config.http is not None:
        from media.feed.sink import FeedSink

        sinks.append(FeedSink())
    return sinks


def takes_of(config: ServerConfig, finisher: Finisher, clock: Clock, *, has_app: bool) -> TakesSink | None:
    """Return the sink of recordings that are started during calls, if anybody may start one."""
    directory = config.takes or (config.record if has_app else None)
    return TakesSink(directory, finisher, clock, config.look_back_s) if directory is not None else None


def salvages_of(config: ServerConfig, finisher: Finisher) -> list[Salvage]:
    """Return what finishes recordings that were left behind, of each directory of them."""
    directories = dict.fromkeys(filter(None, (config.record, config.takes)))
    return [Salvage(directory, config.idle_timeout_s, finisher) for directory in directories]


def companions_of(server: Server, clock: Clock) -> list[Companion]:
    """Return the companions, in the order in which they start; they close in the reverse order."""
    config, companions = server.config, list[Companion]()
    if config.record is not None and (config.events == "files" or config.detect):
        companions.append(EventFiles(config.record, server.bus, clock))
    if config.http is not None:
        from media.feed.sink import FeedSink
        from media.http.companion import HttpDoor

        feed = next(runner.sink for runner in server.runners if isinstance(runner.sink, FeedSink))
        companions.append(HttpDoor(server.engine, server.bus, feed, config.http, config.http_token))
    if config.nats.urls:
        from media.nats.companion import NatsCompanion
        from media.nats.sink import NatsSink

        sink = next(runner.sink for runner in server.runners if isinstance(runner.sink, NatsSink))
        companions.append(NatsCompanion(config.nats, sink, server.bus, clock))
    companions.append(server.finisher)  # the last one: it closes first, and has something to tell the others then
    return companions
