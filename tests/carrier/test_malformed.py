"""Rubbish ends as what it claims to be."""

from __future__ import annotations

from uuid import UUID

import numpy as np
import pytest

from media.carrier import malformed
from strep import header
from strep.header import Direction, Leg, StrepHeader
from strep.reject import Reject

HEADER = header.serialize(StrepHeader(UUID(int=5), Leg.A, Direction.INBOUND))


@pytest.mark.parametrize("is_strep", [True, False])
class TestMake:
    def reasons(self, is_strep: bool) -> list[str]:
        datagrams = malformed.make(3_000, HEADER, np.random.default_rng(1), is_strep=is_strep)
        return [malformed.reason(datagram, is_strep=is_strep) for datagram in datagrams]

    def test_none_is_media_and_all_reasons_exist(self, is_strep: bool) -> None:
        assert "NONE" not in self.reasons(is_strep)
        assert set(self.reasons(is_strep)) <= {reject.name for reject in Reject}

    def test_every_kind_is_there(self, is_strep: bool) -> None:
        kinds = {"EMPTY", "SIP", "T38", "RTCP", "TRUNCATED", "RTP_LENGTH", "RTP_PADDING"}
        only_strep = {"RTP_VERSION", "RTP_WITHOUT_STREP", "STREP_VERSION", "STREP_HEADER_LENGTH"}
        assert set(self.reasons(is_strep)) >= kinds | (only_strep if is_strep else {"STREP_WITHOUT_RTP"})

    def test_repeats_itself(self, is_strep: bool) -> None:
        assert self.reasons(is_strep) == self.reasons(is_strep)


class TestReason:
    def test_media_is_none(self) -> None:
        packet = bytes.fromhex("80000001000000a000005151") + b"\xff" * 160
        assert malformed.reason(HEADER + packet, is_strep=True) == "NONE"
        assert malformed.reason(packet, is_strep=False) == "NONE"
        assert malformed.reason(packet, is_strep=True) == "RTP_WITHOUT_STREP"
        assert malformed.reason(HEADER + packet, is_strep=False) == "STREP_WITHOUT_RTP"
