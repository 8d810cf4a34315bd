"""Ed25519 signatures as Telnyx has them, and keys to make them with.

Signed are the bytes ``<timestamp>|<body>``; the timestamp is Unix seconds in decimal, the signature 64 bytes in
base64, the public key 32 bytes in base64. Receivers refuse timestamps more than 300 s away from their clock (Telnyx,
"Receiving webhooks"; ``telnyx/lib/webhook_verification.py`` of its Python package), so each attempt is signed anew.
`Signer` makes them for what we post, `Verifier` checks what Telnyx posts to us.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

from media.key_files import write_key
from strep.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE_HEADER = "telnyx-signature-ed25519"
TIMESTAMP_HEADER = "telnyx-timestamp"
TOLERANCE_S = 300
"""A timestamp may be so far from our clock, either way."""
KEY_BYTES = 32
_MAX_DIGITS = 12
NOT_INSTALLED = "signing webhooks needs the package cryptography: pip install '/path/to/strep[webhooks]'"


class Signer:
    """Signs with one private key.

    Attributes:
        public_key: in base64, what receivers verify with.
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key = base64.b64encode(key.public_key().public_bytes_raw()).decode()

    def headers(self, body: bytes, wall_seconds: int) -> dict[str, str]:
        """Return the two headers that go with `body` when it is sent at `wall_seconds` since the epoch."""
        signature = self._key.sign(b"%d|%b" % (wall_seconds, body))
        return {SIGNATURE_HEADER: base64.b64encode(signature).decode(), TIMESTAMP_HEADER: str(wall_seconds)}


class Verifier:
    """Verifies with any of some public keys: of several accounts, or the next one beside the last."""

    def __init__(self, public_keys: Iterable[str]) -> None:
        """Trust these, in base64.

        Raises:
            ConfigurationError: one is none, or a package is missing.
        """
        try:
            from cryptography.exceptions import InvalidSignature
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        except ImportError:
            raise ConfigurationError(NOT_INSTALLED) from None
        try:
            self._keys = [Ed25519PublicKey.from_public_bytes(parse_public_key(text)) for text in public_keys]
        except ValueError as error:
            raise ConfigurationError(f"telnyx public key: {error}") from None
        self._invalid = InvalidSignature

    def denial(self, signature: str, timestamp: str, body: bytes, wall_seconds: float) -> str:
        """Return why a body with these two headers is not to be believed, "" if it is; raises nothing.

        Returns:
            ``unsigned`` (a header is missing), ``bad_timestamp``, ``stale`` or ``bad_signature``.
        """
        if not signature or not timestamp:
            return "unsigned"
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _MAX_DIGITS):
            return "bad_timestamp"
        if abs(int(timestamp) - wall_seconds) > TOLERANCE_S:  # before it is verified, which takes ten times as long
            return "stale"
        try:
            given = base64.b64decode(signature, validate=True)
        except ValueError:
            return "bad_signature"
        message = b"%b|%b" % (timestamp.encode(), body)
        return "" if any(self._is_of(key, given, message) for key in self._keys) else "bad_signature"

    def _is_of(self, key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
        try:
            key.verify(signature, message)
        except self._invalid:
            return False
        return True


def parse_public_key(text: str) -> bytes:
    """Return the 32 bytes of a public key in base64, as Telnyx's portal shows it.

    Raises:
        ValueError: it is something else.
    """
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError("is not 32 bytes in base64, as `strep keys` and Telnyx's portal show a public key")
    return key


def read_key(path: Path) -> Signer:
    """Return a signer with the private key of a file: PKCS #8 in PEM without a password, as openssl writes it.

    Raises:
        ConfigurationError: there is none; says what to do.
    """
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError:
        raise ConfigurationError(NOT_INSTALLED) from None
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise ConfigurationError(f"webhook key {path}: {error.strerror}; `strep keys {path}` makes one") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigurationError(
            f"webhook key {path}: this is no private key in PEM without a password; `strep keys FILE` makes one"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"webhook key {path}: this is no Ed25519 key; `strep keys FILE` makes one")
    return Signer(key)


def make_key(path: Path) -> Signer:
    """Make a new private key and write it to `path`, which only its owner may read; return a signer with it.

    Raises:
        FileExistsError: the file is there; it stays as it is.
        OSError: it cannot be written.
        ConfigurationError: a package is missing.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    except ImportError:
        raise ConfigurationError(NOT_INSTALLED) from None
    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_key(path, content)
    return Signer(key)
