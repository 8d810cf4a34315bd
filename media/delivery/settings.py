"""What is to become of recordings, as configured; it goes to the process that does it as a line of JSON."""

from __future__ import annotations

from pathlib import Path

import msgspec

from media.delivery.keys import DEFAULT
from media.sinks.finished import FileFormat


class DeliverySettings(msgspec.Struct, frozen=True):
    """How recordings are delivered.

    Attributes:
        recordings: their directory.
        formats: what is made of each, unless it was asked for another.
        url: where they are delivered to; empty: nowhere, the formats are made in the directory.
        key: template of the name there, see `media.delivery.keys`.
        keep_local: they stay in the directory as well.
        at_once: recordings worked at at once.
        keys_in: the directory of recordings in whose folder keys of the store are claimed; empty: `recordings`.
        is_first: of the processes of this server; what an earlier server gave up is tried again.
    """

    recordings: str
    formats: tuple[FileFormat, ...] = ("wav",)
    url: str = ""
    key: str = DEFAULT
    keep_local: bool = True
    at_once: int = 2
    keys_in: str = ""
    is_first: bool = True

    @property
    def directory(self) -> Path:
        """Of the recordings."""
        return Path(self.recordings)

    @property
    def directory_of_keys(self) -> Path:
        """See `keys_in`."""
        return Path(self.keys_in or self.recordings)
