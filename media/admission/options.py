"""The options of `strep serve` that say who may send, and when no more calls are taken."""

from __future__ import annotations

import ipaddress

from media import formats
from media.formats import Format
from media.option import Option
from media.webhooks.signing import parse_public_key

TRUST = "Who may send"


def _parse_network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text.strip()))
    except ValueError as error:
        raise ValueError(f"is no network: {error}") from None


def _parse_token(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text.strip()


def _parse_public_key(text: str) -> str:
    parse_public_key(text)
    return text.strip()


def _parse_url(text: str) -> str:
    if not text.strip().startswith(("wss://", "ws://")):
        raise ValueError("does not begin with wss:// or ws://")
    return text.strip()


NETWORK = Format("NETWORK", _parse_network)
TOKEN = Format("TOKEN", _parse_token)
URL = Format("URL", _parse_url)
FILE = Format("FILE", formats.DIRECTORY.parse)

TRUST_OPTIONS = (
    Option(
        "ws_auth",
        TRUST,
        formats.choice("auto", "token", "none"),
        "token",
        "Whether media streams must show a token. auto: where any is configured they must, and a door that others "
        "can reach does not open without one; none lets everybody in.",
    ),
    Option(
        "ws_token_file",
        TRUST,
        FILE,
        "tokens.txt",
        "Tokens that let media streams in, one a line; `strep token` makes one. The carrier shows it as "
        "stream_auth_token, as authorization_bearer_token, in the path, as ?token=, or as custom parameter token.",
    ),
    Option(
        "ws_token",
        TRUST,
        TOKEN,
        "zdOzNBZHTSR2PLQIDQfGSlBCKhBnJIVf2aELaDPCMmM",
        "One such token; for STREP_WS_TOKEN, since others on this machine see a command line. Repeatable.",
        field="ws_tokens",
        repeatable=True,
    ),
    Option(
        "ws_key_file",
        TRUST,
        FILE,
        "key.txt",
        "A key; tokens signed with it (strep token --key-file) let one stream in, until they expire.",
    ),
    Option(
        "twilio_auth_token_file",
        TRUST,
        FILE,
        "twilio.txt",
        "The auth token of a Twilio account; requests with its X-Twilio-Signature need no other token.",
    ),
    Option(
        "public_url",
        TRUST,
        URL,
        "wss://media.example.com",
        "What carriers were told the WebSocket door is, if a proxy stands in front of it: Twilio signs that.",
    ),
    Option(
        "tls_certificate",
        TRUST,
        FILE,
        "/etc/ssl/media.pem",
        "Speak TLS (wss://) on the WebSocket door, with this certificate chain, PEM. It is read again when renewed. "
        "Each frame then costs more than behind a TLS proxy on another core.",
    ),
    Option("tls_key", TRUST, FILE, "/etc/ssl/media.key", "The certificate's key, if that is a file of its own."),
    Option(
        "udp_networks",
        TRUST,
        NETWORK,
        "192.0.2.0/24",
        "From where STREP legs and RTP tracks may begin; from anywhere unless given. Repeatable.",
        repeatable=True,
    ),
    Option(
        "udp_legs",
        TRUST,
        formats.choice("open", "probation", "registered"),
        "registered",
        "Which STREP legs may begin: any with its first packet, with two packets in order, or announced ones (by "
        "POST /v1/legs at --http, or webhooks, --telnyx-public-key). What waits is taken then, "
        "nothing of it is lost.",
    ),
    Option(
        "udp_leg_wait",
        TRUST,
        formats.seconds(0.1, 300),
        "10s",
        "How long a leg may wait for that; up to 200 packets of it, 1 s, are kept meanwhile.",
        field="udp_leg_wait_s",
    ),
    Option(
        "telnyx_public_key",
        TRUST,
        Format("BASE64", _parse_public_key),
        "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        "The public key of a Telnyx account: its call.fork.started, posted to http://HOST:PORT/v1/webhooks/telnyx "
        "(--http), announces a leg. Repeatable.",
        field="telnyx_public_keys",
        repeatable=True,
    ),
    Option(
        "state",
        TRUST,
        formats.DIRECTORY,
        "/var/lib/strep",
        "Remember announced legs and used tokens here, for the next process; a local directory.",
    ),
    Option(
        "udp_sources",
        TRUST,
        formats.choice("pinned", "any"),
        "any",
        "Whether all directions of a leg keep to the address that it began from, until that is silent for 2 s; any "
        "is for carriers that send them from several addresses.",
    ),
)

SHEDDING_OPTIONS = (
    Option(
        "max_calls",
        "Limits",
        formats.whole_number(0, 1_000_000),
        "2500",
        "Live calls; further ones are refused, and no running one notices. 0 is any number. With --workers each has "
        "its share of them.",
    ),
    Option(
        "max_packets_per_s",
        "Limits",
        formats.whole_number(0, 1_000_000_000),
        "250000",
        "While more packets and frames are taken than that, no call begins. 0 is any number. With --workers each has "
        "its share of them.",
    ),
    Option(
        "min_free",
        "Limits",
        formats.size_bytes(0, 1 << 50),
        "1GiB",
        "While the disk of the recordings has less left, no call begins.",
        field="min_free_bytes",
    ),
    Option(
        "ws_max_strangers",
        "Limits",
        formats.whole_number(1, 1_000_000),
        "1000",
        "WebSocket connections that have not begun a stream; beyond it one of the address that has most is closed.",
    ),
    Option(
        "ws_max_connections_per_address",
        "Limits",
        formats.whole_number(0, 1_000_000),
        "500",
        "WebSocket connections of one address at once; 0 is any number, for carriers have few addresses.",
    ),
)
