"""Keys as age has them (https://age-encryption.org/v1): X25519, ``age1...`` public, ``AGE-SECRET-KEY-1...`` private.

So keys of `age-keygen` are good here, and keys of ``strep keygen`` are good for age.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from media.key_files import write_key
from media.sealing import bech32
from strep.clock import iso8601
from strep.errors import ConfigurationError

NOT_INSTALLED = "encryption needs the package cryptography: pip install '/path/to/strep[encrypt]'"
_PUBLIC, _PRIVATE = "age", "age-secret-key-"
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Recipient:
    """For whom something is sealed: a public key."""

    public_key: bytes

    def __str__(self) -> str:
        """Return it as ``age1...``."""
        return bech32.encode(_PUBLIC, self.public_key)


Recipients = tuple[Recipient, ...]
"""None: nothing is sealed."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who can open what was sealed: a private key."""

    private_key: bytes = field(repr=False)

    @property
    def recipient(self) -> Recipient:
        """Its public half."""
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

        return Recipient(X25519PrivateKey.from_private_bytes(self.private_key).public_key().public_bytes_raw())

    def reveal(self) -> str:
        """Return the private key as ``AGE-SECRET-KEY-1...``."""
        return bech32.encode(_PRIVATE, self.private_key).upper()


def parse_recipient(text: str) -> Recipient:
    """Return the public key that is written ``age1...``.

    Raises:
        ValueError: it is something else, and never says what.
    """
    text = text.strip()
    if text.lower().startswith(_PRIVATE):
        raise ValueError("is a private key, which no server should have; the public one begins with age1")
    if text.startswith("ssh-"):
        raise ValueError("is a key of SSH; `strep keygen FILE` makes one that can be used")
    prefix, content = bech32.decode(text)
    if prefix != _PUBLIC or len(content) != _KEY_BYTES:
        raise ValueError("is no X25519 key of age: those begin with age1 and have 62 characters")
    return Recipient(content)


def make_identity(path: Path, wall_ns: int) -> Identity:
    """Make a new private key and write it to `path`, which only its owner may read.

    Raises:
        FileExistsError: the file is there; it stays as it is.
        OSError: it cannot be written.
        ConfigurationError: a package is missing.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    except ImportError:
        raise ConfigurationError(NOT_INSTALLED) from None
    identity = Identity(X25519PrivateKey.generate().private_bytes_raw())
    lines = f"# created: {iso8601(wall_ns)}\n# public key: {identity.recipient}\n{identity.reveal()}\n"
    write_key(path, lines.encode("ascii"))
    return identity


def read_identities(path: Path) -> list[Identity]:
    """Return the private keys of a file: a line each; empty ones and comments (``#``) are passed over.

    Raises:
        ConfigurationError: there is none in it, or something else; nothing of it is in the text.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigurationError(f"key file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"key file {path}: this is no file of private keys of age") from None
    identities = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            prefix, content = bech32.decode(line.strip())
        except ValueError as error:
            raise ConfigurationError(f"key file {path}: line {number} {error}") from None
        if prefix == _PUBLIC:
            raise ConfigurationError(f"key file {path}: line {number} is a public key; opening takes the private one")
        if prefix != _PRIVATE or len(content) != _KEY_BYTES:
            raise ConfigurationError(f"key file {path}: line {number} is no private X25519 key of age")
        identities.append(Identity(content))
    if not identities:
        raise ConfigurationError(f"key file {path}: there is no key in it")
    return identities
