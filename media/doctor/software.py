"""Rules about what is installed, how systemd was told, and whether options suffice for the calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from media.config import ServerConfig
from media.decoding.payload_types import NEED_PYAV
from media.delivery.urls import directory_of
from media.doctor.check import Verdict, advice, ok, problem
from media.doctor.demand import Demand
from media.doctor.facts import Facts
from media.handover.room import RESTART_S, lasts_s, needed_bytes
from media.voices.espeak import PROGRAM

TRACKS_PER_CALL = 2


@dataclass(frozen=True, slots=True)
class Extra:
    """An optional dependency.

    Attributes:
        name: strep[NAME], or the package.
        modules: that are imported.
        gives: what it is for.
        is_needed: whether a configuration does not work without it.
        install: what to type.
    """

    name: str
    modules: tuple[str, ...]
    gives: str
    is_needed: Callable[[ServerConfig], bool]
    install: str = ""

    @property
    def command(self) -> str:
        """What installs it."""
        return self.install or f"pip install '/path/to/strep[{self.name}]'"


def _needs_codecs(config: ServerConfig) -> bool:
    named = {told.encoding.name for told in config.payload_types if told.encoding is not None}
    return bool(named & set(NEED_PYAV)) or config.playback_codec.upper() in NEED_PYAV


def _engine(name: str) -> Callable[[ServerConfig], bool]:
    return lambda config: config.transcribe.partition(":")[0] == name


EXTRAS = (
    Extra("fast", ("uvloop",), "a faster event loop", lambda config: False),
    Extra("codecs", ("av",), "G.722, Opus, every kind of file to play", _needs_codecs),
    Extra("http", ("aiohttp",), "--http", lambda config: config.http is not None),
    Extra("webhooks", ("aiohttp", "cryptography"), "webhooks", lambda c: bool(c.webhooks or c.telnyx_public_keys)),
    Extra("encrypt", ("cryptography",), "--encrypt-to", lambda config: bool(config.encrypt_to)),
    Extra(
        "store",
        ("fsspec", "s3fs"),
        "--deliver-to s3://",
        lambda c: bool(c.deliver_to) and not directory_of(c.deliver_to),
    ),
    Extra("cdr", ("sqlalchemy",), "--cdr-database", lambda config: bool(config.cdr_database)),
    Extra(
        "cdr",
        ("psycopg",),
        "--cdr-database postgresql:",
        lambda config: config.cdr_database.startswith("postgres"),
    ),
    Extra("otel", ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"), "--otlp", lambda c: bool(c.otlp)),
    Extra("nats", ("nats",), "--nats", lambda config: bool(config.nats.urls)),
    Extra("transcribe", ("pocketsphinx",), "--transcribe pocketsphinx", _engine("pocketsphinx")),
    Extra("vosk", ("vosk",), "--transcribe vosk", _engine("vosk"), "pip install vosk"),
    Extra(
        "faster-whisper",
        ("faster_whisper",),
        "--transcribe faster-whisper",
        _engine("faster-whisper"),
        "pip install faster-whisper",
    ),
)
PROGRAMS = {
    PROGRAM: "speaks for applications",
    "flite": "other voices, to test with",
    "sox": "plays and measures recordings; not used by the server",
    "ffmpeg": "the same; the server has its libraries by strep[codecs]",
    "tcpdump": "captures what arrives, for strep inspect",
}


def receiver(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether many datagrams can be taken by one system call."""
    if facts.software.has_recvmmsg and demand.server.receiver != "asyncio-dgram":
        yield ok("recvmmsg")
    else:
        yield advice("asyncio-dgram: a call of Python for each datagram")


def event_loop(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether uvloop is there."""
    yield ok("uvloop") if "uvloop" in facts.software.modules else advice("asyncio's own")


def extras(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether everything is installed that an option needs."""
    for extra in EXTRAS[1:]:  # the first has a rule of its own
        missing = [module for module in extra.modules if module not in facts.software.modules]
        subject = f"{extra.name} ({extra.gives})"
        if not missing:
            yield ok("installed", subject)
        elif extra.is_needed(demand.server):
            yield problem(f"{' and '.join(missing)} not installed", subject, what=extra.command)
        else:
            yield ok("not installed, and not asked for", subject)


def programs(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether programs are there that are used."""
    for name, use in PROGRAMS.items():
        subject = f"{name} ({use})"
        if name in facts.software.programs:
            yield ok("installed", subject)
        elif name == PROGRAM and demand.server.app:
            yield advice("not installed: call.speak fails", subject, what=f"apt-get install {name}")
        else:
            yield ok("not installed, and not asked for", subject)


def socket_unit(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether strep.socket, where it is installed, has the same addresses and place for a restart."""
    unit = facts.software.unit
    if unit is None:
        yield ok("not installed")
        return
    told = set(unit.datagrams + unit.streams)
    wanted = {str(endpoint) for endpoint in (demand.server.udp, demand.server.ws) if endpoint}
    wanted |= {str(end) for pair in demand.server.rtp for end in (pair.rx, pair.tx)}
    listed = " ".join(sorted(told))
    if told - wanted:
        strange = " ".join(sorted(told - wanted))
        yield problem(f"{strange}: no door is there", unit.path, what=f"give the doors {listed}, or edit the unit")
        return
    if unit.datagrams and demand.server.udp and unit.buffer_bytes is not None:
        seconds = lasts_s(2 * unit.buffer_bytes, demand.packets_per_s)
        if seconds < RESTART_S:
            found = f"ReceiveBuffer={unit.buffer_bytes} holds {seconds:.1f} s, a restart may take {RESTART_S:g} s"
            wanted_bytes = needed_bytes(RESTART_S, demand.packets_per_s)
            yield advice(found, unit.path, what=f"systemctl edit strep.socket: ReceiveBuffer={wanted_bytes}")
            return
    yield ok(f"{listed}, as configured", unit.path)


def options(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether limits of the configuration let so many calls in."""
    config, calls = demand.server, demand.calls
    limits = [
        ("--max-tracks", config.max_tracks * demand.workers // TRACKS_PER_CALL, calls * TRACKS_PER_CALL),
        ("--max-calls", config.max_calls, calls),
        ("--max-packets-per-s", config.max_packets_per_s // 100, calls * 100),
    ]
    if config.ws:
        limits.append(("--ws-max-connections", config.ws_max_connections * demand.workers, calls))
    tight = [(flag, most, wanted) for flag, most, wanted in limits if 0 < most < calls]
    for flag, most, wanted in tight:
        yield problem(f"lets {most:,} calls in, of {calls:,}", flag, what=f"{flag} {wanted}")
    if not tight:
        yield ok(f"let {calls:,} calls in")
