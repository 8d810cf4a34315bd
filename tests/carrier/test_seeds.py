"""Seeded randomness and identifiers."""

from __future__ import annotations

from media.carrier.seeds import Purpose, call_leg_id, random_stream, stream_id
from strep.header import Direction, Leg


class TestIdentifiers:
    def test_shape_is_version_1_and_rfc_variant(self) -> None:
        identifier = call_leg_id(1, 0)
        assert identifier.version == 1
        assert identifier.variant == "specified in RFC 4122"

    def test_unique_among_calls_and_legs(self) -> None:
        identifiers = {call_leg_id(3, call, own_b_leg=b_leg) for call in range(2_000) for b_leg in (False, True)}
        assert len(identifiers) == 4_000

    def test_seed_decides(self) -> None:
        assert call_leg_id(1, 5) == call_leg_id(1, 5) != call_leg_id(2, 5)
        assert stream_id(1, 5) == stream_id(1, 5) != stream_id(1, 6)


class TestStreams:
    def test_independent_of_one_another(self) -> None:
        draws = {
            random_stream(1, purpose, call, leg, direction).integers(2**63)
            for purpose in Purpose
            for call in range(20)
            for leg in Leg
            for direction in Direction
        }
        assert len(draws) == len(Purpose) * 20 * 4
