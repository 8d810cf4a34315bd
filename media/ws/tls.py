"""`Certificate`: TLS for the WebSocket door, with a certificate that is read again when its file is renewed."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from strep.errors import ConfigurationError

_LOG = logging.getLogger(__name__)
REFRESH_EVERY_S = 30.0


class Certificate:
    """A certificate with its key, as PEM files.

    Attributes:
        context: of the door; handshakes from now on are done with the newest certificate.
        renewals: how often it was read again.
    """

    def __init__(self, certificate: Path, key: Path | None = None) -> None:
        """Read it; `key` is in the same file unless given.

        Raises:
            ConfigurationError: it cannot be used.
        """
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.renewals = 0
        self._paths = certificate, key or certificate
        self._read_at = self._changed_at()
        try:
            self.context.load_cert_chain(*self._paths)
        except OSError as error:  # ssl.SSLError is one
            raise ConfigurationError(f"cannot use {certificate} and {self._paths[1]}: {error}") from None

    def refresh(self) -> None:
        """Read it again if it has changed; what cannot be used is said, and the old one stays."""
        changed_at = self._changed_at()
        if changed_at == self._read_at:
            return
        self._read_at = changed_at
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(*self._paths)  # a pair that fits
            self.context.load_cert_chain(*self._paths)
        except OSError as error:
            _LOG.warning("the renewed certificate %s cannot be used, the old one stays: %s", self._paths[0], error)
        else:
            self.renewals += 1
            _LOG.info("certificate %s was renewed", self._paths[0])

    def _changed_at(self) -> tuple[int, ...]:
        try:
            return tuple(path.stat().st_mtime_ns for path in self._paths)
        except OSError:  # being renewed
            return ()
