"""The server's configuration: one frozen structure, from flags, ``STREP_*`` variables or a TOML file.

Parsing text into it and its error messages are in `media.formats` and `media.options`; this file says what
there is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from media.decoding.payload_types import PayloadType
from media.denoising.rules import Denoised
from media.hearing.machine import DEFAULT_RULES, MachineRules
from media.nats.config import NatsConfig
from media.sealing.keys import Recipient


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host and port to listen on; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return ``host:port``, IPv6 hosts in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class RtpPorts:
    """A pair of plain RTP ports under one name: ``NAME=RXPORT,TXPORT``."""

    name: str
    rx: Endpoint
    """Media that the carrier received (inbound)."""
    tx: Endpoint
    """Media that the carrier transmitted (outbound)."""


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """What `strep serve` may be told."""

    udp: Endpoint | None = None
    """Where STREP arrives."""
    rtp: tuple[RtpPorts, ...] = ()
    """Pairs of ports where plain RTP arrives."""
    ws: Endpoint | None = None
    """Where media streams connect by WebSocket."""
    record: Path | None = None
    """Directory of the recordings; None records nothing."""
    record_format: Literal["pcm16", "passthrough"] = "pcm16"
    """16-bit linear PCM, or the carrier's own code bytes at half the size."""
    sync_s: float = 1.0
    """How often what was written is put on the disk, against lost power; 0 leaves it to the kernel."""
    takes: Path | None = None
    """Directory of recordings that applications start; that of `record` unless given."""
    record_played: Literal["on", "off"] = "on"
    """Whether recordings have what is played into calls of which the carrier sends the caller's side only."""
    look_back_s: float = 0.0
    """How much of all calls is kept in memory, for recordings that begin before they were started."""
    deliver_format: tuple[str, ...] = ("wav",)
    """What becomes of a recording when it is closed: wav, flac, mp3, opus; see `media.delivery`."""
    deliver_to: str = ""
    """Where recordings go then, a URL; empty: they stay where they are."""
    deliver_key: str = "{date}/{name}"
    """Their names there; see `media.delivery.keys`."""
    deliver_keep_local: Literal["on", "off"] = "on"
    """Whether they stay in the directory as well, once they are there."""
    deliver_at_once: int = 2
    """Recordings that are converted and sent at a time."""
    encrypt_to: tuple[Recipient, ...] = ()
    """Who can read what is written of calls; nobody in particular: it is in clear. See `media.sealing`."""
    quality: Literal["network", "audio"] = "network"
    """What is told of the quality of calls: what the network did to them, or also what is heard in their audio."""
    detect: tuple[str, ...] = ()
    """What to listen for in all calls: dtmf, voice, tones, machine; see `media.hearing`."""
    machine_rules: MachineRules = DEFAULT_RULES
    """What tells a machine from a person; see `media.hearing.machine`."""
    events: Literal["auto", "files"] = "auto"
    """Write the events of each call into a file beside its recording; auto: where something listens for them."""
    cdr: Path | None = None
    """A file of call records, JSON lines; see `media.cdr`."""
    cdr_database: str = field(default="", repr=False)
    """The same in a database, by its URL."""
    otlp: str = field(default="", repr=False)
    """Where traces of calls go, a URL; see `media.tracing`."""
    http: Endpoint | None = None
    """Where lists of calls, their audio and events are served; see `media.http`."""
    http_token: str = field(default="", repr=False)
    """What requests there have to show; without one, only this machine may ask."""
    actions: Literal["auto", "on", "off"] = "auto"
    """Whether calls can be told to do something; auto: where `http` is. See `media.control`."""
    media: Path | None = None
    """Directory of the files that actions may play by their names."""
    http_recordings: Literal["off", "on"] = "off"
    """Whether what lies in `record` and `takes` is served there, too."""
    transcribe: str = ""
    """The engine that transcribes all calls, ``NAME`` or ``NAME:key=value,...``; see `media.transcribing`."""
    transcribe_engines: tuple[str, ...] = ()
    """Engines with options which actions cannot set: paths, addresses, keys."""
    transcribe_tracks: Literal["inbound", "outbound", "both"] = "both"
    """Which sides of a call are transcribed."""
    transcribe_workers: int = 2
    """Processes of each engine of transcription."""
    transcribe_backlog_s: float = 20.0
    """Speech of one track that may wait for its engine; older speech is dropped, which the transcript says."""
    transcribe_timeout_s: float = 10.0
    """An engine that says nothing for so long, though it has something to say, is killed and replaced."""
    sinks: tuple[str, ...] = ()
    """Sinks of other packages, by name; see `media.sinks.plugins`."""
    denoise: tuple[Denoised, ...] = ()
    """Sinks that noise suppression is put in front of."""
    conceal: tuple[str, ...] = ()
    """Sinks that get lost audio filled with what was before it and behind it; see `media.concealing`."""
    app: str = ""
    """What talks with the callers: a name of `media.apps`, or ``module:function``."""
    playback: Literal["mp3", "rtp"] = "mp3"
    """How media streams were asked to be played to, where they do not say; mp3 is the carrier's default."""
    playback_codec: str = "pcmu"
    """Of rtp playback: pcmu, pcma, g722, l16 or opus."""
    playback_rate_hz: int = 8000
    """Of playback in either mode."""
    playback_l16: Literal["little-endian", "big-endian"] = "little-endian"
    """Byte order of L16 that is played."""
    playback_keep_alive: Literal["off", "on"] = "off"
    """Send silence to streams in rtp mode while nothing plays."""
    idle_timeout_s: float = 30.0
    """A call ends when no track of it got audio for so long."""
    drain_timeout_s: float = 5.0
    """At the end, calls may go on for so long; none begins. 0 ends them at once."""
    reconnect_grace_s: float = 5.0
    """A media stream whose socket closed without `stop` may come back within this time."""
    reorder_wait_ms: int = 60
    """A hole in a track is given up this long after the first packet behind it arrived."""
    block_ms: int = 100
    """Length of the blocks handed to sinks."""
    webhooks: tuple[str, ...] = ()
    """URLs that events are posted to; see `media.webhooks`."""
    webhook_key: Path | None = None
    """File with the Ed25519 private key that signs them; None sends them unsigned."""
    webhook_events: tuple[str, ...] = ("call.*", "streaming.*")
    """Types of events that are posted, ``*`` stands for any characters."""
    webhook_spool: Path | None = None
    """Directory of what waits for receivers; None keeps it in memory."""
    webhook_backlog_bytes: int = 64 << 20
    """What may wait for receivers; beyond it the oldest are dropped."""
    webhook_max_age_s: float = 86_400.0
    """An event that was not taken after so long is given up."""
    webhook_max_tries: int = 100
    """Answers other than 2xx to one event before it is given up; a receiver that is not there costs none."""
    receiver: Literal["auto", "recvmmsg", "asyncio-dgram"] = "auto"
    """How UDP is received; auto takes recvmmsg where there is one."""
    receive_buffer_bytes: int = 16 << 20
    """SO_RCVBUF to ask for, per UDP socket."""
    drain_interval_ms: float = 5.0
    """How often the sockets are drained while traffic flows; less often while all sinks have patience."""
    max_calls: int = 0
    """Live calls; further ones are refused. 0 is any number that `max_tracks` allows."""
    max_packets_per_s: int = 0
    """Packets and frames of all calls; while more come, no call begins. 0 is any number."""
    min_free_bytes: int = 256 << 20
    """While the disk of the recordings has less, no call begins."""
    udp_legs: Literal["open", "probation", "registered"] = "open"
    """Which legs may begin at the STREP port, see `media.admission.legs`."""
    udp_leg_wait_s: float = 3.0
    """How long a leg may wait to be admitted."""
    telnyx_public_keys: tuple[str, ...] = ()
    """In base64: whose webhooks announce legs, at the HTTP door."""
    state: Path | None = None
    """Directory of what the next process is to know: announced legs and used tokens; None: it does not."""
    udp_networks: tuple[str, ...] = ()
    """From where legs and RTP tracks may begin; none is from anywhere."""
    udp_sources: Literal["pinned", "any"] = "pinned"
    """Whether each direction of a leg keeps to the address that it began from."""
    max_tracks: int = 20_000
    """Tracks that may live at once; packets of further ones are refused and counted."""
    ws_max_message_bytes: int = 1 << 20
    """A longer WebSocket message closes its connection with code 1009."""
    ws_max_connections: int = 10_000
    """WebSocket connections at once."""
    ws_auth: Literal["auto", "token", "none"] = "auto"
    """Whether media streams must show a token; auto: where the address is not a loopback one, or tokens are given."""
    ws_tokens: tuple[str, ...] = field(default=(), repr=False)
    """Tokens that let media streams in."""
    ws_token_file: Path | None = None
    """The same, one a line."""
    ws_key_file: Path | None = None
    """What signed tokens are signed with, see `media.admission.tokens`."""
    twilio_auth_token_file: Path | None = None
    """The auth token of a Twilio account; requests that it has signed need no other."""
    tls_certificate: Path | None = None
    """PEM file with the certificate chain of the WebSocket door, which then speaks TLS (wss://)."""
    tls_key: Path | None = None
    """Its key, if that is a file of its own."""
    public_url: str = ""
    """What carriers were told the WebSocket door is, where a proxy stands in front of it."""
    ws_max_strangers: int = 1000
    """Sockets that have not begun a stream yet, at once."""
    ws_max_connections_per_address: int = 0
    """WebSocket connections of one address at once; 0 is any number."""
    payload_types: tuple[PayloadType, ...] = ()
    """What RTP payload types stand for, beside the static ones and 101, which is telephone-event."""
    ws_l16_byte_order: Literal["little", "big"] = "little"
    """Byte order of L16 in media streams; in RTP it is big-endian always."""
    ws_tap_track: Literal["inbound", "outbound"] = "inbound"
    """Which direction a SignalWire tap is, for it does not say."""
    nats: NatsConfig = field(default_factory=NatsConfig)
    """Publishing on NATS."""

    @property
    def acts(self) -> bool:
        """Whether calls can be told to do something."""
        return self.actions == "on" or (self.actions == "auto" and self.http is not None)


@dataclass(frozen=True, slots=True)
class ProcessConfig:
    """How `strep serve` runs, and where it can be looked at; see `media.workers` and `media.metrics`."""

    workers: int = 1
    """Processes that share the doors; 0 is one per core."""
    metrics: Endpoint | None = None
    """Where counters are served for Prometheus."""
    hand_over: Path | None = None
    """Where a process finds the one before, and hands over to the one behind it; see `media.handover`."""
    metrics_token: str = field(default="", repr=False)
    """What requests there have to show; without one, only this machine may ask."""


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What `strep serve` says on standard error, and how; see `media.logs`."""

    format: Literal["text", "json"] = "text"
    """Lines for people, or one JSON object a line for programs."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is worth a line."""
