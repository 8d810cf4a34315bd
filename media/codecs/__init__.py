"""Codecs: what an encoding is, and its encoder and decoder, one per track or per playing call.

PCMU, PCMA and L16 are here; G.722 and Opus come with ``pip install '/path/to/strep[codecs]'``.
"""

from __future__ import annotations

from collections.abc import Callable

from media.codecs.contract import FrameDecoder
from media.codecs.encoding import PCMU, STATIC_PAYLOAD_TYPES, Encoding, encoding_of_payload_type
from media.talk.contract import FrameEncoder

__all__ = [
    "PCMU",
    "STATIC_PAYLOAD_TYPES",
    "Encoding",
    "FrameDecoder",
    "FrameEncoder",
    "decoder_for",
    "encoder_for",
    "encoding_of_payload_type",
]


def encoder_for(encoding: Encoding) -> FrameEncoder:
    """Make an encoder.

    Raises:
        ConfigurationError: the codec needs a package that is not installed; the text says which.
    """
    return _codec(encoding)[0](encoding)


def decoder_for(encoding: Encoding) -> FrameDecoder:
    """Make a decoder.

    Raises:
        ConfigurationError: the codec needs a package that is not installed; the text says which.
    """
    return _codec(encoding)[1](encoding)


def _codec(encoding: Encoding) -> tuple[Callable[[Encoding], FrameEncoder], Callable[[Encoding], FrameDecoder]]:
    """Return how an encoder and a decoder are made; what needs a package is imported when it is asked for."""
    if encoding.name == "G722":
        from media.codecs.g722 import G722Decoder, G722Encoder

        return G722Encoder, G722Decoder
    if encoding.name == "OPUS":
        from media.codecs.opus import OpusDecoder, OpusEncoder

        return OpusEncoder, OpusDecoder
    from media.codecs.plain import PlainCodec

    return PlainCodec, PlainCodec
