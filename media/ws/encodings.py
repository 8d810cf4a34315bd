"""Encoding names of ``media_format``: what they mean, or a refusal that says why.

The documents spell mu-law ``audio/x-mulaw`` (2022 to 2024) and ``PCMU`` (since), applications and gateways
have more. A name that is not listed is refused and never decoded as something else: A-law heard as mu-law is loud
noise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

from media.codecs import Encoding
from media.decoding.payload_types import NEED_PYAV
from media.tapes import law_of
from strep.errors import WireError

_NAMES = {
    "PCMU": "pcmu mulaw ulaw xmulaw xulaw g711u g711mu g711ulaw g711mulaw pcmmulaw pcmulaw µlaw μlaw",
    "PCMA": "pcma alaw xalaw g711a g711alaw pcmalaw",
    "G722": "g722 xg722",
    "L16": "l16 xl16 linear16 pcm16 pcms16le",
    "OPUS": "opus xopus",
}
_MEANINGS = {
    **{spelling: name for name, spellings in _NAMES.items() for spelling in spellings.split()},
    "audio/basic": "PCMU",  # RFC 2046 section 4.3: 8-bit mu-law, 8000 Hz, one channel
}
_PUNCTUATION = str.maketrans("", "", "-_. ")
_DEFAULT_RATE_HZ = {"G722": 16000, "OPUS": 48000}
"""Where no rate is given; with the others it must be, as mu-law at another rate sounds like nothing."""

SUPPORTED = "PCMU, PCMA (8000), G722 (16000), L16 (8000 to 48000), OPUS; channels 1"
"""For the close reason; short, for that has 123 bytes at most (RFC 6455 section 5.5)."""
MAX_NAME_CHARACTERS = 19
"""How much of a refused name the text repeats, so that the whole of it fits."""


def encoding_of(
    encoding: str, sample_rate_hz: int | None, channels: int | None, *, big_endian: bool = False
) -> Encoding:
    """Return what `encoding` names.

    Args:
        encoding: ``media_format.encoding`` in any of its spellings, with or without ``;rate=8000``.
        sample_rate_hz: ``media_format.sample_rate``; may be None where `encoding` carries a rate.
        channels: ``media_format.channels``; None is one channel (RFC 4856 section 2.1.6, "default: 1").
        big_endian: how L16 is written where the name does not say.

    Raises:
        WireError: UNSUPPORTED_ENCODING; the detail names what was asked for and what is served.
    """
    spelling, rates = _split(encoding)
    squeezed = spelling.removeprefix("audio/").translate(_PUNCTUATION)
    name = _MEANINGS.get(spelling, _MEANINGS.get(squeezed))
    if sample_rate_hz is not None:
        rates.add(str(sample_rate_hz))
    if name is None:
        raise _refusal(f"encoding {_shown(encoding)}")
    if name in NEED_PYAV and find_spec("av") is None:
        raise WireError("UNSUPPORTED_ENCODING", f"{name} not served: PyAV is not installed here")
    if channels not in (1, None):
        raise _refusal(f"channels {channels}")
    try:
        rate_hz = _rate(name, rates)
        is_swapped = name == "L16" and (not big_endian or squeezed == "pcms16le")
        return Encoding(name, rate_hz, big_endian=not is_swapped)
    except ValueError:
        raise _refusal(f"sample_rate {_shown('/'.join(sorted(rates)) or 'missing')}") from None


def counter_of(encoding: Encoding) -> Callable[[bytes], int]:
    """Return what counts the samples of a payload: 0 if it cannot be one."""
    return len if law_of(encoding) is not None else partial(_samples_of, encoding)


def _samples_of(encoding: Encoding, payload: bytes) -> int:
    try:
        return encoding.samples_of(payload)
    except WireError:
        return 0


def _rate(name: str, rates: set[str]) -> int:
    """Return the one rate that is meant.

    Raises:
        ValueError: there is none, or they contradict one another.
    """
    if name == "G722" and rates == {"8000"}:  # the RTP clock, which RFC 3551 section 4.5.2 explains
        return _DEFAULT_RATE_HZ[name]
    if not rates and name in _DEFAULT_RATE_HZ:
        return _DEFAULT_RATE_HZ[name]
    (rate,) = rates
    return int(rate)


def _split(encoding: str) -> tuple[str, set[str]]:
    """Return the name without its parameters, in lower case, and every rate that a parameter gives."""
    name, *parameters = encoding.lower().split(";")
    pairs = [parameter.partition("=") for parameter in parameters]
    return name.strip(), {value.strip() for key, _, value in pairs if key.strip() in ("rate", "samplerate")}


def _refusal(what: str) -> WireError:
    return WireError("UNSUPPORTED_ENCODING", f"{what} not served; use {SUPPORTED}")


def _shown(text: str) -> str:
    quoted = ascii(text)
    return quoted if len(quoted) <= MAX_NAME_CHARACTERS else quoted[: MAX_NAME_CHARACTERS - 3] + "..."
