"""What RTP payload types stand for: those of RFC 3551 table 4, and those that a call's signalling would have told.

This server sees no signalling, so its operator says it, in the words of an SDP rtpmap (RFC 8866 section 6.6):
``111=opus/48000``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from media.codecs import PCMU, STATIC_PAYLOAD_TYPES, Encoding, encoding_of_payload_type
from media.codecs.pyav import EXTRA
from media.tapes import law_of
from strep.errors import ConfigurationError

TELEPHONE_EVENT = "telephone-event"
NEED_PYAV = ("G722", "OPUS")
"""Where it is missing, packets of static types are counted and not decoded, and others refused."""
NO_LAW = 0xFF
LARGEST = 127


@dataclass(frozen=True, slots=True)
class PayloadType:
    """One line of the map.

    Attributes:
        number: 0 to 127.
        name: of an `Encoding`, or ``telephone-event``.
        clock_hz: of its timestamps.
    """

    number: int
    name: str
    clock_hz: int = 8000

    def __str__(self) -> str:
        """Return ``NUMBER=NAME/CLOCK``."""
        return f"{self.number}={self.name}/{self.clock_hz}"

    @property
    def encoding(self) -> Encoding | None:
        """What its payloads are; None for telephone-event.

        Raises:
            ValueError: nothing that is served; the text completes "the encoding ...".
        """
        if self.name == TELEPHONE_EVENT:
            return None
        encoding = Encoding(self.name, 16000 if self.name == "G722" else self.clock_hz)
        if encoding.rtp_clock_hz != self.clock_hz:
            raise ValueError(f"{self.name} has an RTP clock of {encoding.rtp_clock_hz} Hz, not {self.clock_hz} Hz")
        return encoding


DEFAULTS = (PayloadType(101, TELEPHONE_EVENT),)
"""Dynamic types that need not be said: everybody uses this one."""


class PayloadTypes:
    """The map, as tables of 128 for columns.

    Attributes:
        law: (128,) uint8, a `strep.g711.Codec` or NO_LAW.
        is_decoded: (128,) bool, other encodings that are served.
        is_event: (128,) bool, telephone-event.
    """

    def __init__(self, configured: Iterable[PayloadType] = ()) -> None:
        """Put together the static types, the defaults and those that are `configured`; the last one wins.

        Raises:
            ConfigurationError: a configured encoding needs a package that is not installed.
        """
        configured = tuple(configured)
        static = {number: encoding_of_payload_type(number) for number in STATIC_PAYLOAD_TYPES}
        encodings = {number: encoding for number, encoding in static.items() if encoding is not None}
        self._event_clocks: dict[int, int] = {}
        for payload_type in (*DEFAULTS, *configured):
            encodings.pop(payload_type.number, None)
            self._event_clocks.pop(payload_type.number, None)
            encoding = payload_type.encoding
            if encoding is None:
                self._event_clocks[payload_type.number] = payload_type.clock_hz
            else:
                encodings[payload_type.number] = encoding
        lacking = () if find_spec("av") else NEED_PYAV
        missing = next((str(payload_type) for payload_type in configured if payload_type.name in lacking), None)
        if missing:
            raise ConfigurationError(f"payload_type {missing} needs PyAV, which is not installed: {EXTRA}")
        self._encodings = {n: encoding for n, encoding in encodings.items() if encoding.name not in lacking}
        laws = {number: law_of(encoding) for number, encoding in self._encodings.items()}
        self.law = np.full(LARGEST + 1, NO_LAW, np.uint8)
        self.is_decoded = np.zeros(LARGEST + 1, np.bool_)
        self.is_event = np.zeros(LARGEST + 1, np.bool_)
        for number, law in laws.items():
            self.law[number] = NO_LAW if law is None else law
            self.is_decoded[number] = law is None
        self.is_event[list(self._event_clocks)] = True

    def encoding_of(self, payload_type: int) -> Encoding | None:
        """Return what payloads of this type are, None if they are no audio that is served."""
        return self._encodings.get(payload_type)

    def opening(self, payload_type: int) -> Encoding:
        """Return what a track that begins with this type is taken for: PCMU where it does not tell."""
        return self._encodings.get(payload_type, PCMU)

    def event_clock_hz(self, payload_type: int) -> int:
        """Return the unit of the durations of telephone-events of this type."""
        return self._event_clocks[payload_type]
