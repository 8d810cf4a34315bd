"""What cannot be together with encryption at rest: refused before anything is written in clear."""

from __future__ import annotations

from media.config import ServerConfig
from media.sealing import age
from media.sealing.keys import NOT_INSTALLED, Recipients
from strep.errors import ConfigurationError


def check_sealing(config: ServerConfig) -> ServerConfig:
    """Return the configuration, if everything that is written of calls can be sealed, or is not to be.

    Raises:
        ConfigurationError: it cannot; says what to do.
    """
    if not config.encrypt_to:
        return config
    check_recipients(config.encrypt_to)
    if config.record is None and config.takes is None:
        raise ConfigurationError("encrypt_to: nothing is recorded that could be sealed; give record as well")
    if config.deliver_format != ("wav",):
        raise ConfigurationError(
            "encrypt_to and deliver_format: nobody here can open what is sealed to make other formats of it. Leave "
            "deliver_format out; where the key is: strep unseal CALL.wav.sealed --key KEY -o - | flac - -o CALL.flac"
        )
    if config.nats.spool is not None:
        raise ConfigurationError(
            "encrypt_to and nats_spool: the spool holds audio and events in clear. Leave out nats_spool, so that "
            "they wait in memory (nats_memory), or have it on a disk that is encrypted, and the recordings too"
        )
    if config.webhook_spool is not None:
        raise ConfigurationError(
            "encrypt_to and webhook_spool: the spool holds events in clear, keys and what was said among them. Leave "
            "out webhook_spool, so that they wait in memory, or have it all on a disk that is encrypted"
        )
    return config


def plain_beside(config: ServerConfig) -> list[str]:
    """Return what somebody who encrypts should know of the configuration."""
    if not config.encrypt_to or not config.sinks:
        return []
    return [f"encrypt_to does not reach what {', '.join(config.sinks)} may write: sinks of others get audio in clear"]


def check_recipients(recipients: Recipients) -> None:
    """Try whether something can be sealed for them.

    Raises:
        ConfigurationError: it cannot; says what to do.
    """
    try:
        age.encrypt(b"", recipients)
    except ImportError:
        raise ConfigurationError(NOT_INSTALLED) from None
    except ValueError:
        raise ConfigurationError("encrypt_to: one of the keys is no point of the curve that keeps a secret") from None
