"""A secret of a few bytes in an age v1 file for X25519 recipients: https://age-encryption.org/v1, C2SP age.md.

Only what wraps the keys of sealed files, so one chunk of payload::

    age-encryption.org/v1
    -> X25519 <ephemeral share, base64>        once for each recipient
    <file key, wrapped, base64>
    --- <MAC of all above, base64>
    <16 bytes nonce> <payload, ChaCha20-Poly1305, tag>

The real program opens what is made here, and what it makes is opened here; tests see to both.
"""

from __future__ import annotations

import binascii
import hmac
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from media.sealing.keys import Identity, Recipient

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

_VERSION = b"age-encryption.org/v1"
_STANZA = b"-> X25519 "
_FOOTER = b"---"
_WRAP_INFO = b"age-encryption.org/v1/X25519"
_FILE_KEY_BYTES, _NONCE_BYTES = 16, 16
_ONLY_CHUNK = bytes(11) + b"\x01"
"""Nonce of the STREAM construction: chunk 0, and the last one."""


class NoKeyFits(ValueError):
    """It was sealed for others."""


class Altered(ValueError):
    """It is not what was sealed."""


def encrypt(secret: bytes, recipients: Iterable[Recipient]) -> bytes:
    """Return `secret`, at most 64 KiB, in a file for `recipients`.

    Raises:
        ValueError: the key of one is no key.
    """
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

    file_key, nonce = os.urandom(_FILE_KEY_BYTES), os.urandom(_NONCE_BYTES)
    lines = [_VERSION]
    for recipient in recipients:
        ephemeral = X25519PrivateKey.generate()
        share = ephemeral.public_key().public_bytes_raw()
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient.public_key))
        wrapped = _wrapping(shared, share + recipient.public_key).encrypt(bytes(12), file_key, None)
        lines += [_STANZA + _base64(share), _base64(wrapped)]
    header = b"\n".join([*lines, _FOOTER])
    sealed = _payload(file_key, nonce).encrypt(_ONLY_CHUNK, secret, None)
    return header + b" " + _base64(_mac(file_key, header)) + b"\n" + nonce + sealed


def decrypt(content: bytes, identities: Sequence[Identity]) -> bytes:
    """Return the secret of a file that `encrypt` made, or age for X25519 recipients.

    Raises:
        NoKeyFits: none of the identities is a recipient.
        Altered: something in it is not as it was.
    """
    from cryptography.exceptions import InvalidTag

    header, stanzas, mac, payload = _parsed(content)
    file_key = next((key for key in (_unwrapped(*stanza, identities) for stanza in stanzas) if key), None)
    if file_key is None:
        raise NoKeyFits("none of the keys fits")
    if not hmac.compare_digest(_mac(file_key, header), mac):
        raise Altered("the list of recipients was altered")
    try:
        return _payload(file_key, payload[:_NONCE_BYTES]).decrypt(_ONLY_CHUNK, payload[_NONCE_BYTES:], None)
    except InvalidTag:
        raise Altered("the key in it was altered") from None


def _parsed(content: bytes) -> tuple[bytes, list[tuple[bytes, bytes]], bytes, bytes]:
    """Return header up to the MAC, share and wrapped key of each stanza, MAC, and what follows."""
    version, _, rest = content.partition(b"\n")
    if version != _VERSION:
        raise Altered("this is no file of age")
    stanzas, line = [], b""
    while rest and not line.startswith(_FOOTER):
        line, _, rest = rest.partition(b"\n")
        if line.startswith(_STANZA):
            share, (body, _, rest) = line.removeprefix(_STANZA), rest.partition(b"\n")
            stanzas.append((_bytes(share, 32), _bytes(body, _FILE_KEY_BYTES + 16)))
        elif not line.startswith(_FOOTER + b" "):
            raise Altered("there is a recipient of an unknown kind")
    if not line.startswith(_FOOTER + b" ") or len(rest) < _NONCE_BYTES + 16:
        raise Altered("it is cut short")
    header = content[: len(content) - len(rest) - len(line) - 1] + _FOOTER
    return header, stanzas, _bytes(line[len(_FOOTER) + 1 :], 32), rest


def _unwrapped(share: bytes, wrapped: bytes, identities: Sequence[Identity]) -> bytes | None:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

    for identity in identities:
        key = X25519PrivateKey.from_private_bytes(identity.private_key)
        try:
            shared = key.exchange(X25519PublicKey.from_public_bytes(share))
            salt = share + key.public_key().public_bytes_raw()
            return _wrapping(shared, salt).decrypt(bytes(12), wrapped, None)
        except (InvalidTag, ValueError):  # of another recipient; or a share that hides nothing
            continue
    return None


def _wrapping(shared: bytes, salt: bytes) -> ChaCha20Poly1305:
    return _cipher(_derived(shared, salt, _WRAP_INFO))


def _payload(file_key: bytes, nonce: bytes) -> ChaCha20Poly1305:
    return _cipher(_derived(file_key, nonce, b"payload"))


def _mac(file_key: bytes, header: bytes) -> bytes:
    return hmac.digest(_derived(file_key, b"", b"header"), header, "sha256")


def _derived(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """Return 32 bytes by HKDF-SHA-256 (RFC 5869); they are its first block."""
    return hmac.digest(hmac.digest(salt or bytes(32), secret, "sha256"), info + b"\x01", "sha256")


def _cipher(key: bytes) -> ChaCha20Poly1305:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    return ChaCha20Poly1305(key)


def _base64(content: bytes) -> bytes:
    return b64encode(content).rstrip(b"=")


def _bytes(text: bytes, length: int) -> bytes:
    try:
        content = b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Altered("its header is damaged") from None
    if len(content) != length or _base64(content) != text:  # one spelling of each
        raise Altered("its header is damaged")
    return content
