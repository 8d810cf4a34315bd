"""The map of payload types: what is static, what is said, and what cannot be."""

from __future__ import annotations

import numpy as np
import pytest

from media import formats
from media.codecs import PCMU, Encoding
from media.decoding.payload_types import NO_LAW, PayloadType, PayloadTypes
from strep.errors import ConfigurationError
from strep.g711 import Codec


class TestMap:
    def test_static_types(self) -> None:
        types = PayloadTypes()
        assert {n: types.encoding_of(n) for n in range(128) if types.encoding_of(n)} == {
            0: PCMU, 8: Encoding("PCMA"), 9: Encoding("G722", 16000), 11: Encoding("L16", 44100),
        }  # fmt: skip
        assert np.flatnonzero(types.law != NO_LAW).tolist() == [0, 8]
        assert np.flatnonzero(types.is_decoded).tolist() == [9, 11]
        assert np.flatnonzero(types.is_event).tolist() == [101]
        assert types.opening(96) == types.opening(101) == PCMU

    def test_what_is_said_wins(self) -> None:
        said = (PayloadType(101, "OPUS", 48000), PayloadType(9, "telephone-event", 8000), PayloadType(96, "PCMA"))
        types = PayloadTypes(said)
        assert types.encoding_of(101) == Encoding("OPUS", 48000)
        assert (types.encoding_of(9), types.event_clock_hz(9)) == (None, 8000)
        assert types.law[96] == Codec.PCMA
        assert np.flatnonzero(types.is_event).tolist() == [9]

    def test_without_a_library_its_codecs_are_not_served(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("media.decoding.payload_types.find_spec", lambda name: None)
        types = PayloadTypes((PayloadType(96, "L16", 16000),))
        assert types.encoding_of(9) is None
        assert np.flatnonzero(types.is_decoded).tolist() == [11, 96]
        with pytest.raises(ConfigurationError, match="111=OPUS/48000 needs PyAV"):
            PayloadTypes((PayloadType(111, "OPUS", 48000),))


class TestWriting:
    @pytest.mark.parametrize(
        ("text", "payload_type"),
        [
            ("111=opus/48000", PayloadType(111, "OPUS", 48000)),
            ("111 = opus/48000/2", PayloadType(111, "OPUS", 48000)),
            ("111=OPUS", PayloadType(111, "OPUS", 48000)),
            ("101=telephone-event", PayloadType(101, "telephone-event", 8000)),
            ("102=telephone-event/48000", PayloadType(102, "telephone-event", 48000)),
            ("9=G722/8000", PayloadType(9, "G722", 8000)),
            ("96=l16/16000/1", PayloadType(96, "L16", 16000)),
            ("0=pcma", PayloadType(0, "PCMA", 8000)),
        ],
    )
    def test_as_in_sdp(self, text: str, payload_type: PayloadType) -> None:
        assert formats.parse_payload_type(text) == payload_type
        assert formats.parse_payload_type(str(payload_type)) == payload_type

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("opus/48000", "is not NUMBER=NAME/CLOCK"),
            ("128=opus", "0 to 127"),
            ("96=AMR-WB/16000", "'AMR-WB' is not served"),
            ("96=G722/16000", "RTP clock of 8000 Hz"),
            ("96=opus/16000", "RTP clock of 48000 Hz"),
            ("96=L16/7999", "no rate of 7999 Hz"),
            ("96=L16/44100/2", "2 channels"),
            ("96=PCMU/16000", "no rate of 16000 Hz"),
            ("96=telephone-event/0", "a clock of 0 Hz"),
            ("", "is not NUMBER=NAME/CLOCK"),
        ],
    )
    def test_what_cannot_be(self, text: str, says: str) -> None:
        with pytest.raises(ValueError, match=says):
            formats.parse_payload_type(text)
