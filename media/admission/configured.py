"""What the configuration says of who may stream, read from its files."""

from __future__ import annotations

from pathlib import Path

from media.admission.desk import LegMemory
from media.admission.entries import Entries
from media.admission.tokens import TokenGate
from media.admission.uses import SharedUses, Uses
from media.config import ServerConfig
from media.http.access import is_loopback
from media.webhooks.ended import EndedLegs
from media.ws.tls import Certificate
from strep.clock import NS_PER_SECOND, SystemClock
from strep.errors import ConfigurationError

LEGS, ENDED_LEGS, USED_TOKENS = "legs", "ended", "tokens"
"""Folders of `ServerConfig.state`."""


def gate_of(config: ServerConfig) -> TokenGate | None:
    """Return who judges the tokens of media streams; None lets everybody in.

    Raises:
        ConfigurationError: everybody could come in from elsewhere and nobody has said that this is meant, or a file
            cannot be used.
    """
    tokens = [*config.ws_tokens, *(_lines(config.ws_token_file) if config.ws_token_file else ())]
    key = _line(config.ws_key_file).encode() if config.ws_key_file else None
    has_any = bool(tokens or key or config.twilio_auth_token_file)
    if config.ws_auth == "none" or (config.ws_auth == "auto" and not has_any and not _is_exposed(config)):
        return None
    if not has_any:
        raise ConfigurationError(
            f"ws is on {config.ws}, where others can reach it, and lets anybody stream: make a token (strep token > "
            "token.txt) and give --ws-token-file token.txt, or say --ws-auth none"
        )
    return TokenGate(tokens, key, _uses_of(config) if key else None)


def _uses_of(config: ServerConfig) -> Uses | None:
    if config.state is None:
        return None
    try:
        return SharedUses(Entries(config.state / USED_TOKENS))
    except OSError as error:
        raise ConfigurationError(f"state: cannot keep used tokens in {config.state}: {error.strerror}") from None


def memory_of(config: ServerConfig) -> LegMemory | None:
    """Return what remembers announced legs, None if nothing does.

    Raises:
        ConfigurationError: it cannot.
    """
    if config.state is None or config.udp_legs != "registered":
        return None
    try:
        return LegMemory(config.state / LEGS)
    except OSError as error:
        raise ConfigurationError(f"state: cannot keep legs in {config.state}: {error.strerror}") from None


def ended_legs_of(config: ServerConfig) -> EndedLegs | None:
    """Return what remembers legs that the carrier has taken back, None if nothing does.

    Raises:
        ConfigurationError: it cannot.
    """
    if config.state is None:
        return None
    try:
        return EndedLegs(config.state / ENDED_LEGS, SystemClock().wall_ns() // NS_PER_SECOND)
    except OSError as error:
        raise ConfigurationError(f"state: cannot keep legs in {config.state}: {error.strerror}") from None


def twilio_auth_token_of(config: ServerConfig) -> str:
    """Return the auth token of the Twilio account; "" if there is none.

    Raises:
        ConfigurationError: the file cannot be used.
    """
    return _line(config.twilio_auth_token_file) if config.twilio_auth_token_file else ""


def certificate_of(config: ServerConfig) -> Certificate | None:
    """Return the certificate of the WebSocket door, None if it does not speak TLS.

    Raises:
        ConfigurationError: it cannot be used.
    """
    if config.tls_certificate is None:
        if config.tls_key is not None:
            raise ConfigurationError("tls_key without tls_certificate: give both, or a file that has both")
        return None
    return Certificate(config.tls_certificate, config.tls_key)


def _is_exposed(config: ServerConfig) -> bool:
    return config.ws is not None and not is_loopback(config.ws.host)


def _lines(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot read {path}: {getattr(error, 'strerror', '') or error}") from None
    kept = [line for line in lines if line and not line.startswith("#")]
    if not kept:
        raise ConfigurationError(f"{path} is empty; `strep token > {path}` makes a token")
    return kept


def _line(path: Path) -> str:
    return _lines(path)[0]
