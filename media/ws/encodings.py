"""Encoding names of ``media_format``: which codec they mean, or a refusal that says why.

The documents spell mu-law ``audio/x-mulaw`` (2022 to 2024) and ``PCMU`` (since), applications and gateways
have more; all are names of the two laws of ITU-T G.711. A name that is not listed is refused and never
decoded as something else: A-law heard as mu-law is loud noise.
"""

from __future__ import annotations

from strep.errors import WireError
from strep.g711 import SAMPLE_RATE_HZ, Codec

_MU_LAW = "pcmu mulaw ulaw xmulaw xulaw g711u g711mu g711ulaw g711mulaw pcmmulaw pcmulaw µlaw μlaw"
_A_LAW = "pcma alaw xalaw g711a g711alaw pcmalaw"
_CODECS = {
    **dict.fromkeys(_MU_LAW.split(), Codec.PCMU),
    **dict.fromkeys(_A_LAW.split(), Codec.PCMA),
    "audio/basic": Codec.PCMU,  # RFC 2046 section 4.3: 8-bit mu-law, 8000 Hz, one channel
}
_PUNCTUATION = str.maketrans("", "", "-_. ")

SUPPORTED = "PCMU (audio/x-mulaw) and PCMA (audio/x-alaw), sample_rate 8000, channels 1"
"""For the close reason; short, for that has 123 bytes at most (RFC 6455 section 5.5)."""
MAX_NAME_CHARACTERS = 19
"""How much of a refused name the text repeats, so that the whole of it fits."""


def codec_of(encoding: str, sample_rate_hz: int | None, channels: int | None) -> Codec:
    """Return the codec that `encoding` names.

    Args:
        encoding: ``media_format.encoding`` in any of its spellings, with or without ``;rate=8000``.
        sample_rate_hz: ``media_format.sample_rate``; may be None where `encoding` carries a rate.
        channels: ``media_format.channels``; None is one channel (RFC 4856 section 2.1.6, "default: 1").

    Raises:
        WireError: UNSUPPORTED_ENCODING; the detail names what was asked for and what is served.
    """
    name, rates = _split(encoding)
    codec = _CODECS.get(name, _CODECS.get(name.removeprefix("audio/").translate(_PUNCTUATION)))
    if sample_rate_hz is not None:
        rates.add(str(sample_rate_hz))
    if codec is None:
        raise _refusal(f"encoding {_shown(encoding)}")
    if rates != {str(SAMPLE_RATE_HZ)}:
        raise _refusal(f"sample_rate {_shown('/'.join(sorted(rates)) or 'missing')}")
    if channels not in (1, None):
        raise _refusal(f"channels {channels}")
    return codec


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
