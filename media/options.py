"""The options of `strep serve`, one declaration each; `media.settings` finds out what was given.

An option ``idle_timeout`` is the flag ``--idle-timeout``, the variable ``STREP_IDLE_TIMEOUT`` and the key
``idle_timeout`` of a TOML file.
"""

from __future__ import annotations

from media import formats
from media.admission.options import SHEDDING_OPTIONS, TRUST_OPTIONS
from media.cdr.options import CDR_OPTIONS
from media.concealing.options import CONCEALING_OPTIONS
from media.config import LogConfig, ProcessConfig
from media.control.options import CONTROL_OPTIONS
from media.delivery.options import DELIVERY_OPTIONS
from media.formats import Format
from media.handover.options import HANDOVER_OPTIONS
from media.hearing.machine import MachineRules
from media.http.options import DOOR_OPTIONS
from media.nats.options import NATS_OPTIONS
from media.option import PREFIX, Option
from media.page.options import PAGE_OPTIONS
from media.quality.options import QUALITY_OPTIONS
from media.sealing.options import SEALING_OPTIONS
from media.sinks.options import RECORDING_OPTIONS
from media.tracing.options import TRACING_OPTIONS
from media.transcribing.options import TRANSCRIBING_OPTIONS
from media.webhooks.options import WEBHOOK_OPTIONS

__all__ = ["BY_NAME", "OPTIONS", "PREFIX", "Option"]


def _parse_name(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text.strip()


DOORS, RECORDING, TALKING, TIMING, LIMITS = "Doors", "Recording", "Talking back", "Timing", "Limits"
FEEDING = "For other programs"
PROCESSES, LOGGING = "Processes", "Logging"
_PORT_NOTE = "[::1]:9000 for IPv6, 0.0.0.0:9000 for all addresses, :9000 for 127.0.0.1, port 0 for any."

OPTIONS = (
    Option("udp", DOORS, formats.ENDPOINT, "127.0.0.1:9000", f"Receive STREP, any number of calls. {_PORT_NOTE}"),
    Option(
        "rtp",
        DOORS,
        formats.RTP_PORTS,
        "lab=4000,4001",
        "Receive plain RTP on a pair of ports: inbound on RX, outbound on TX, each PORT or HOST:PORT. Repeatable.",
        repeatable=True,
    ),
    Option(
        "ws",
        DOORS,
        formats.ENDPOINT,
        "127.0.0.1:9001",
        "Accept media streams over WebSocket at any path; /twilio, /signalwire, ... names who speaks.",
    ),
    Option(
        "payload_type",
        DOORS,
        formats.PAYLOAD_TYPE,
        "111=opus/48000",
        "What an RTP payload type stands for, as in SDP; 101 is telephone-event. Repeatable.",
        field="payload_types",
        repeatable=True,
    ),
    Option(
        "ws_l16_byte_order",
        DOORS,
        formats.choice("little", "big"),
        "big",
        "Byte order of L16 in media streams; in RTP it is big-endian always.",
    ),
    Option(
        "ws_tap_track",
        DOORS,
        formats.choice("inbound", "outbound"),
        "outbound",
        "Which direction a SignalWire tap is, for it does not say.",
    ),
    *TRUST_OPTIONS,
    *RECORDING_OPTIONS,
    *DELIVERY_OPTIONS,
    *SEALING_OPTIONS,
    Option(
        "detect",
        RECORDING,
        formats.choices("dtmf", "voice", "tones", "machine"),
        "dtmf,voice",
        "Listen for keys by their tones, speech, tones of fax and answering machines, and whether the inbound track "
        "is answered by a machine; tell in the log, which key "
        "at level debug only, and as JSON lines in CALL.events.jsonl beside the recording. All audio is then "
        "handed on in blocks of 20 ms, every 40 ms: more work than for a recording alone, which waits up to 100 ms.",
    ),
    Option(
        "machine_rules",
        RECORDING,
        formats.rules(MachineRules),
        "greeting_duration_ms=2500,wait_for_beep=true",
        "What tells a machine from a person, where --detect machine is given.",
    ),
    *QUALITY_OPTIONS,
    Option(
        "events",
        RECORDING,
        formats.choice("auto", "files"),
        "files",
        "Write what happens in each call as JSON lines into CALL.events.jsonl beside the recording; auto does so "
        "where --detect is given.",
    ),
    *DOOR_OPTIONS,
    Option(
        "http_token",
        FEEDING,
        Format("TOKEN", _parse_name, is_secret=True),
        "a-long-random-word",
        "What requests have to show as Authorization: Bearer TOKEN. Better given as the variable, for other users "
        "of this machine see flags.",
    ),
    *CONTROL_OPTIONS,
    *CDR_OPTIONS,
    *PAGE_OPTIONS,
    *TRACING_OPTIONS,
    *TRANSCRIBING_OPTIONS,
    *NATS_OPTIONS,
    Option(
        "sink",
        RECORDING,
        Format("NAME", _parse_name),
        "transcriber",
        "Hand the audio to an installed sink (entry point of group strep.sinks) as well. Repeatable.",
        field="sinks",
        repeatable=True,
    ),
    Option(
        "denoise",
        RECORDING,
        formats.DENOISED,
        "transcription:both",
        "Suppress noise in what a sink gets, recording, hearing, transcription, takes, feed, applications or an "
        "installed one: of inbound (what the carrier received), outbound or both; of none, where applications switch "
        "it on. 20 ms later, and PCM. Repeatable.",
        repeatable=True,
    ),
    *CONCEALING_OPTIONS,
    Option(
        "app",
        TALKING,
        Format("NAME", _parse_name),
        "echo",
        "Let an application talk with the callers: echo, ivr, parrot, or a function of yours as MODULE:FUNCTION.",
    ),
    Option(
        "playback",
        TALKING,
        formats.choice("mp3", "rtp"),
        "rtp",
        "How media streams were asked for (stream_bidirectional_mode). A stream's own query or custom parameters "
        "playback, playback_codec and playback_rate go first.",
    ),
    Option(
        "playback_codec",
        TALKING,
        formats.choice("pcmu", "pcma", "g722", "l16", "opus"),
        "pcma",
        "Codec of rtp playback (stream_bidirectional_codec).",
    ),
    Option(
        "playback_rate",
        TALKING,
        formats.whole_number(8000, 48_000),
        "16000",
        "Sample rate of playback (stream_bidirectional_sampling_rate).",
        field="playback_rate_hz",
    ),
    Option(
        "playback_l16",
        TALKING,
        formats.choice("little-endian", "big-endian"),
        "big-endian",
        "Byte order of L16 that is played; no document says which.",
    ),
    Option(
        "playback_keep_alive",
        TALKING,
        formats.choice("off", "on"),
        "on",
        "Send silence in rtp playback while nothing plays, for peers that hang up when they get nothing.",
    ),
    *WEBHOOK_OPTIONS,
    Option(
        "idle_timeout",
        TIMING,
        formats.seconds(0.1, 86_400),
        "30s",
        "A call ends when nothing was heard of it for so long.",
        field="idle_timeout_s",
    ),
    Option(
        "drain_timeout",
        TIMING,
        formats.seconds(0, 86_400),
        "1m",
        "At SIGTERM no new call begins, and those that there are may go on for so long; 0, or a second signal, ends "
        "them at once. Their files are finished in any case.",
        field="drain_timeout_s",
    ),
    Option(
        "reconnect_grace",
        TIMING,
        formats.seconds(0, 3600),
        "5s",
        "A media stream that broke off may come back within this time.",
        field="reconnect_grace_s",
    ),
    Option(
        "reorder_wait",
        TIMING,
        formats.whole_milliseconds(0, 1000),
        "60ms",
        "How long a missing packet is waited for, once a later one is there.",
        field="reorder_wait_ms",
    ),
    Option(
        "block",
        TIMING,
        formats.whole_milliseconds(20, 1000),
        "100ms",
        "Audio handed to sinks at a time; whole 20 ms of it with --detect, --transcribe or an application.",
        field="block_ms",
    ),
    Option(
        "drain_interval",
        TIMING,
        formats.milliseconds(0.1, 100),
        "5ms",
        "How often the sockets are drained while traffic flows; up to 20ms when only recordings are made.",
        field="drain_interval_ms",
    ),
    Option(
        "receiver",
        LIMITS,
        formats.choice("auto", "recvmmsg", "asyncio-dgram"),
        "auto",
        "How UDP is received; auto takes recvmmsg where there is one.",
    ),
    Option(
        "receive_buffer",
        LIMITS,
        formats.size_bytes(4096, 1 << 30),
        "16MiB",
        "Kernel buffer to ask for, per UDP socket.",
        field="receive_buffer_bytes",
    ),
    *SHEDDING_OPTIONS,
    Option("max_tracks", LIMITS, formats.whole_number(1, 1_000_000), "20000", "Tracks at once; a call has two."),
    Option(
        "ws_max_message",
        LIMITS,
        formats.size_bytes(1024, 1 << 28),
        "1MiB",
        "A longer WebSocket message closes its connection.",
        field="ws_max_message_bytes",
    ),
    Option(
        "ws_max_connections", LIMITS, formats.whole_number(1, 1_000_000), "10000", "WebSocket connections at once."
    ),
    Option(
        "workers",
        PROCESSES,
        formats.whole_number(0, 256),
        "4",
        "Processes that share the doors, each with the legs that are its own; 0 is one per core. Linux only.",
        owner=ProcessConfig,
    ),
    *HANDOVER_OPTIONS,
    Option(
        "metrics",
        PROCESSES,
        formats.ENDPOINT,
        "127.0.0.1:9100",
        "Serve counters for Prometheus on http://HOST:PORT/metrics. Where other machines can reach it, a token is "
        "needed.",
        owner=ProcessConfig,
    ),
    Option(
        "metrics_token",
        PROCESSES,
        Format("TOKEN", _parse_name, is_secret=True),
        "a-long-random-word",
        "What scrapes have to show as Authorization: Bearer TOKEN. Another one than --http-token, which opens all "
        "calls; better given as the variable.",
        owner=ProcessConfig,
    ),
    Option(
        "log_format",
        LOGGING,
        formats.choice("text", "json"),
        "json",
        "How log lines on standard error are written.",
        field="format",
        owner=LogConfig,
    ),
    Option(
        "log_level",
        LOGGING,
        formats.choice("debug", "info", "warning", "error"),
        "debug",
        "The least that is worth a line.",
        field="level",
        owner=LogConfig,
    ),
)
BY_NAME = {option.name: option for option in OPTIONS}
