"""Bech32, BIP 173, as age has it: without the limit of 90 characters. A mistyped key is found by its checksum."""

from __future__ import annotations

from collections.abc import Iterable

_CHARACTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_WORDS = 6


def encode(prefix: str, content: bytes) -> str:
    """Return `content` behind a prefix, in lower case."""
    words = _regrouped(content, 8, 5, pads=True)
    polymod = _polymod([*_expanded(prefix), *words, *[0] * _CHECKSUM_WORDS]) ^ 1
    checksum = [polymod >> 5 * (_CHECKSUM_WORDS - 1 - place) & 31 for place in range(_CHECKSUM_WORDS)]
    return f"{prefix}1{''.join(_CHARACTERS[word] for word in [*words, *checksum])}"


def decode(text: str) -> tuple[str, bytes]:
    """Return prefix, in lower case, and content.

    Raises:
        ValueError: it is none; completes the sentence "'age1x' ...".
    """
    if text not in (text.lower(), text.upper()):
        raise ValueError("mixes capitals and small letters")
    prefix, one, rest = text.lower().rpartition("1")
    if not one or not prefix or len(rest) < _CHECKSUM_WORDS or not set(rest) <= set(_CHARACTERS):
        raise ValueError("is not a key: it was not copied as a whole")
    words = [_CHARACTERS.index(character) for character in rest]
    if _polymod([*_expanded(prefix), *words]) != 1:
        raise ValueError("has a mistake in it: its checksum is wrong")
    return prefix, bytes(_regrouped(words[:-_CHECKSUM_WORDS], 5, 8, pads=False))


def _regrouped(words: Iterable[int], from_bits: int, to_bits: int, *, pads: bool) -> list[int]:
    held, bits, made = 0, 0, []
    for word in words:
        held, bits = held << from_bits | word, bits + from_bits
        while bits >= to_bits:
            bits -= to_bits
            made.append(held >> bits & (1 << to_bits) - 1)
    rest = held & (1 << bits) - 1
    if pads and bits:
        made.append(rest << to_bits - bits)
    elif not pads and (bits >= from_bits or rest):
        raise ValueError("is not a key: it has bits left over")
    return made


def _expanded(prefix: str) -> list[int]:
    return [ord(character) >> 5 for character in prefix] + [0] + [ord(character) & 31 for character in prefix]


def _polymod(words: Iterable[int]) -> int:
    checksum = 1
    for word in words:
        top, checksum = checksum >> 25, (checksum & 0x1FF_FFFF) << 5 ^ word
        for bit, generator in enumerate(_GENERATOR):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum
