"""What a server is fitted with, as configured: sinks for its audio, and companions that run beside the media path."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from media.companions import Companion
from media.config import Endpoint, ServerConfig
from media.denoising.rules import DIRECTIONS
from media.events.bus import EventBus
from media.events.callback import EventCallback, OnEvent
from media.events.files import EventFiles
from media.events.log import CallLog
from media.metrics.tally import Tally
from media.sinks.contract import CallInfo, Sink, SinkUse
from media.sinks.denoised import DenoisedSink
from media.sinks.finisher import Finisher
from media.sinks.fitted import Fitted
from media.sinks.hearing import HearingSink
from media.sinks.recording import RecordingSink
from media.sinks.salvage import Salvage
from media.sinks.syncing import Syncer, is_supported
from media.sinks.takes.sink import TakesSink
from media.talk.noise import NoiseControl
from strep.clock import NS_PER_SECOND, Clock
from strep.errors import ConfigurationError

if TYPE_CHECKING:
    from media.control.controls import Controls
    from media.engine import Engine
    from media.http.api import Api
    from media.http.companion import HttpDoor
    from media.server import Server
    from media.talk.call import Application
    from media.talk.played_tracks import PlayedTracks
    from media.talk.switchboard import Switchboard
    from media.transcribing.sink import TranscribingSink

S = TypeVar("S", bound=Sink)
RECORDING = "recording"
"""Its name, as a sink."""


def recording_of(
    config: ServerConfig, clock: Clock, finisher: Finisher, uses: Callable[[CallInfo], list[SinkUse]]
) -> list[Sink]:
    """Return the sink of recordings, if there are any; those that are closed go to `finisher`."""
    if config.record is None:
        return []
    is_pcm = any(rule.sink == RECORDING for rule in config.denoise)
    return [
        RecordingSink(
            config.record,
            config.record_format,
            clock,
            config.max_tracks,
            finisher,
            uses,
            is_pcm=is_pcm,
            recipients=config.encrypt_to,
        )
    ]


def sinks_of(config: ServerConfig, bus: EventBus) -> list[Sink]:
    """Return the other sinks of our own."""
    sinks: list[Sink] = []
    if config.detect:
        sinks.append(HearingSink(config.detect, bus, config.machine_rules))
    if config.quality == "audio":
        from media.quality.sink import QualitySink

        sinks.append(QualitySink(bus))
    if config.nats.urls:
        from media.nats.sink import NatsSink

        sinks.append(NatsSink(config.nats.select))
    if config.http is not None:
        from media.feed.sink import FeedSink

        sinks.append(FeedSink())
    return sinks


def takes_of(config: ServerConfig, finisher: Finisher, clock: Clock, *, has_app: bool) -> TakesSink | None:
    """Return the sink of recordings that are started during calls, if anybody may start one."""
    directory = config.takes or (config.record if has_app or config.acts else None)
    return (
        TakesSink(directory, finisher, clock, config.look_back_s, config.encrypt_to)
        if directory is not None
        else None
    )


def salvages_of(config: ServerConfig, finisher: Finisher, clock: Clock) -> list[Salvage]:
    """Return what finishes recordings that were left behind, of each directory of them."""
    directories = dict.fromkeys(filter(None, (config.record, config.takes)))
    wait_s, keys = config.idle_timeout_s, config.encrypt_to
    return [Salvage(directory, wait_s, finisher, clock, keys) for directory in directories]


def syncer_of(config: ServerConfig, clock: Clock) -> Syncer | None:
    """Return what puts on the disk what is written, if anything is."""
    spools = config.webhook_spool if config.webhooks else None, config.nats.spool if config.nats.urls else None
    directories = [path for path in (config.record, config.takes, *spools) if path is not None]
    if not directories or not config.sync_s or not is_supported():
        return None
    return Syncer(directories, round(config.sync_s * NS_PER_SECOND), clock)


def denoised(
    sinks: Sequence[Fitted], config: ServerConfig, bus: EventBus, switchboard: Switchboard | None
) -> list[Fitted]:
    """Put noise suppression in front of the sinks that it is configured for, and let applications switch it.

    Raises:
        ConfigurationError: there is no such sink, or it cannot do with what is filtered.
    """
    rules = {rule.sink: DIRECTIONS[rule.direction] for rule in config.denoise}
    names = [fitted.sink.options.name for fitted in sinks]
    noise = switchboard.listening.noise if switchboard is not None else NoiseControl()
    made: list[Fitted] = []
    for fitted, name in zip(sinks, names, strict=True):
        if name in rules:
            made.append(_behind_filter(fitted, DenoisedSink(fitted.sink, rules[name], bus.publish), noise))
        else:
            made.append(fitted)
    if switchboard is not None and switchboard.has_ears:
        listening = switchboard.listening
        listening.denoise(rules.get(listening.options.name, ()), bus.publish)
        names.append(listening.options.name)
    for name in rules.keys() - set(names):
        raise ConfigurationError(f"denoise: there is no sink {name!r}, only {', '.join(names) or 'none'}")
    if RECORDING in rules and config.record_format == "passthrough":
        raise ConfigurationError(f"denoise: {RECORDING} is filtered only as PCM: record_format is passthrough")
    return made


def _behind_filter(fitted: Fitted, first: DenoisedSink, noise: NoiseControl) -> Fitted:
    """Return a sink behind a filter, each sink behind a new one; `noise` switches the one at present."""
    name, make = first.options.name, fitted.make
    noise.add(name, first)
    if make is None:
        return Fitted(first)
    present = [first]

    def make_again() -> Sink:
        another = first.another(make())
        noise.replace(name, present[0], another)
        present[0] = another
        return another

    return Fitted(first, make_again)


def transcriber_of(config: ServerConfig, bus: EventBus, clock: Clock, *, has_app: bool) -> TranscribingSink | None:
    """Return the sink that transcribes all calls, or those that somebody names; None: nobody can name one."""
    if not (config.transcribe or has_app or config.acts):
        return None
    from media.transcribing.desk import Desk
    from media.transcribing.limits import Limits
    from media.transcribing.plugins import parse_choice
    from media.transcribing.sink import TranscribingSink, Wish

    limits = Limits(
        workers=config.transcribe_workers,
        backlog_s=config.transcribe_backlog_s,
        hang_s=config.transcribe_timeout_s,
    )
    wish = Wish(parse_choice(config.transcribe), config.transcribe_tracks) if config.transcribe else None
    return TranscribingSink(wish, limits, config.record, bus, clock, partial(Desk, recipients=config.encrypt_to))


def switchboard_of(
    app: Application | None, config: ServerConfig, clock: Clock, bus: EventBus, hearing: HearingSink | None
) -> Switchboard | None:
    """Import all of talking back: before there are calls, and not where none of them is talked to."""
    if app is None and not config.acts:
        return None
    from media.control.board import OnDemand
    from media.talk.mode import PlaybackMode
    from media.talk.switchboard import Switchboard

    mode = PlaybackMode(
        config.playback,
        config.playback_codec.upper(),
        config.playback_rate_hz,
        is_big_endian=config.playback_l16 == "big-endian",
        keep_alive=config.playback_keep_alive == "on",
    )
    return Switchboard(app, mode, clock, bus, hearing) if app is not None else OnDemand(mode, clock, bus, hearing)


def played_of(config: ServerConfig, engine: Engine) -> PlayedTracks | None:
    """Return what keeps what is played into calls, None where nobody records, or wants that."""
    if config.record_played == "off" or (config.record is None and config.takes is None):
        return None
    from media.talk.played_tracks import PlayedTracks

    return PlayedTracks(engine)


def controls_of(config: ServerConfig, engine: Engine, switchboard: Switchboard | None) -> Controls | None:
    """Return what acts on calls, None where nobody may."""
    if switchboard is None or not config.acts:
        return None
    from media.control.controls import Controls
    from media.transcribing.plugins import parse_choice

    engines = [parse_choice(text) for text in (*config.transcribe_engines, config.transcribe) if text]
    return Controls(engine.calls, switchboard, config.media, engines)


def companions_of(server: Server, clock: Clock, on_event: OnEvent | None = None) -> list[Companion]:
    """Return the companions, in the order in which they start; they close in the reverse order."""
    config, companions = server.config, list[Companion]([Tally(server.bus), CallLog(server.bus, clock)])
    if (syncer := syncer_of(config, clock)) is not None:  # closes last: then all has been written
        companions.append(syncer)
    if config.record is not None and (config.events == "files" or config.detect):
        companions.append(EventFiles(config.record, server.bus, clock, config.encrypt_to))
    if config.cdr is not None or config.cdr_database:
        from media.cdr.companion import Records

        companions.append(Records(config, server.bus, server.finisher, server.uses_of, clock))
    if config.otlp:
        from media.tracing.companion import Traces

        companions.append(Traces(config.otlp, server.bus, clock))
    if on_event is not None:
        companions.append(EventCallback(on_event, server.bus, clock))
    if config.webhooks:
        from media.webhooks.companion import Webhooks

        companions.append(Webhooks(config, server.bus, clock))
    if config.http is not None:
        companions.append(_http_door(server, config.http, clock))
    if config.nats.urls:
        from media.nats.companion import NatsCompanion
        from media.nats.sink import NatsSink

        sink = _own(NatsSink, server)
        companions.append(NatsCompanion(config.nats, sink, server.bus, clock))
    # The last ones: the finisher closes first, then those whom it hands over to, and both tell all the others.
    companions.extend(server.deliveries)
    companions.append(server.finisher)
    return companions


def _http_door(server: Server, endpoint: Endpoint, clock: Clock) -> HttpDoor:
    from media.control.status import details_of
    from media.feed.sink import FeedSink
    from media.http.companion import HttpDoor, incoming_of

    feed, incoming = _own(FeedSink, server), incoming_of(server.config)

    def make_api() -> Api:
        from media.http.api import Api
        from media.http.house import OneServer
        from media.page.catalogue import catalogue_of
        from media.page.overview import Lookout, overview_of

        loop, details = asyncio.get_running_loop(), partial(details_of, server)
        house = OneServer(server.engine, server.legs, loop, server.controls, details)
        return Api(
            house,
            clock,
            feed,
            server.bus,
            incoming,
            alarms=server.alarms.report,
            lookout=Lookout(lambda: house.ask(lambda: overview_of(server)), clock),
            recordings=catalogue_of(server.config, clock),
        )

    return HttpDoor(endpoint, server.config.http_token, make_api, server.sockets)


def closing_s(config: ServerConfig) -> float:
    """Return how long the companions may take to close at the most, one after the other."""
    from media.delivery.companion import CLOSE_S
    from media.events import callback, files
    from media.sinks import finisher, syncing

    recordings = len(set(filter(None, (config.record, config.takes))))
    limit_s = syncing.CLOSE_TIMEOUT_S + finisher.CLOSE_TIMEOUT_S + recordings * CLOSE_S
    limit_s += files.CLOSE_TIMEOUT_S + callback.CLOSE_TIMEOUT_S
    if config.cdr is not None or config.cdr_database:
        from media.cdr.companion import CLOSE_TIMEOUT_S as CDR_CLOSE_S

        limit_s += 2 * CDR_CLOSE_S
    if config.otlp:
        from media.tracing.companion import CLOSE_TIMEOUT_S as TRACES_CLOSE_S

        limit_s += 3 * TRACES_CLOSE_S
    if config.webhooks:
        from media.webhooks.postman import GRACE_NS

        limit_s += GRACE_NS / NS_PER_SECOND
    if config.http is not None:
        from media.http.companion import STOP_TIMEOUT_S

        limit_s += 2 * STOP_TIMEOUT_S
    if config.nats.urls:
        from media.nats.companion import CLOSE_TIMEOUT_S

        limit_s += 3 * CLOSE_TIMEOUT_S
    return limit_s


def _own(kind: type[S], server: Server) -> S:
    """Return the server's sink of a kind, whatever is put in front of it."""
    for runner in server.runners:
        sink = runner.sink
        while (behind := getattr(sink, "sink", None)) is not None:
            sink = behind
        if isinstance(sink, kind):
            return sink
    raise LookupError(kind.__name__)
