"""The exception tree.

::

    StrepError
    ├── WireError           the peer's mistake: bytes that are not what they claim to be
    │                       (scalar parsers only; batch parsers fill a Reject column instead)
    ├── ConfigurationError  the operator's mistake: an option that cannot be
    └── UsageError          the programmer's mistake: a call this API does not allow
"""

from __future__ import annotations


class StrepError(Exception):
    """Root of everything this project raises on purpose."""


class WireError(StrepError):
    """Bytes from the network that do not parse; carries the `Reject` reason's name."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class ConfigurationError(StrepError):
    """An option, variable or configuration file that cannot be used; the text names the field."""


class UsageError(StrepError):
    """The library was called in a way that its documentation excludes."""
