"""Ed25519 signatures as Telnyx has them, and keys to make them with.

Signed are the bytes ``<timestamp>|<body>``; the timestamp is Unix seconds in decimal, the signature 64 bytes in
base64, the public key 32 bytes in base64. Receivers refuse timestamps more than 300 s away from their clock (Telnyx,
"Receiving webhooks"; ``telnyx/lib/webhook_verification.py`` of its Python package), so each attempt is signed anew.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING

from strep.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNATURE_HEADER = "telnyx-signature-ed25519"
TIMESTAMP_HEADER = "telnyx-timestamp"
NOT_INSTALLED = "signing webhooks needs the package cryptography: pip install 'strep[webhooks]'"


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
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(content)
    return Signer(key)
