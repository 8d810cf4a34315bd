"""The referee of the other receivers: counts, checksums, and the mu-law decoder that it brings along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.contenders.per_packet import Streams
from benchmarks.load import Load
from benchmarks.referee import MOST_COMPLAINTS, Truth, check_decoded, check_floor, limited, mu_law_table
from strep.g711 import Codec, decode_table

LOAD = Load(legs=2, ramp_seconds=0.04, plateau_seconds=0.2)


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth(LOAD.plan())


def datagrams(truth: Truth) -> list[bytes]:
    table = truth.plan.table(0, len(truth.plan))
    return [table.datagram(row) for row in range(len(truth.plan))]


def decoded(received: list[bytes], directory: Path) -> dict[str, Any]:
    """Return the evidence of a receiver that got these datagrams."""
    streams = Streams()
    for datagram in received:
        streams.receive(datagram)
    return streams.evidence(directory)


def dropped_by_the_floor(received: list[bytes]) -> dict[str, Any]:
    return {
        "received": len(received),
        "received_bytes": sum(map(len, received)),
        "datagrams": [datagram.hex() for datagram in received],
    }


def test_decoder_is_that_of_the_standard() -> None:
    assert np.array_equal(mu_law_table(), decode_table(Codec.PCMU))


def test_thousands_of_complaints_are_cut() -> None:
    assert len(limited(str(i) for i in range(1000))) == MOST_COMPLAINTS + 1
    assert limited(iter(())) == []


class TestDecoded:
    def test_everything_received(self, truth: Truth, tmp_path: Path) -> None:
        sent = datagrams(truth)
        assert list(check_decoded(truth, decoded(sent, tmp_path), len(sent), 0)) == []

    def test_any_order(self, truth: Truth, tmp_path: Path) -> None:
        sent = datagrams(truth)
        assert list(check_decoded(truth, decoded(sent[::-1], tmp_path), len(sent), 0)) == []

    def test_drops_that_the_kernel_counted(self, truth: Truth, tmp_path: Path) -> None:
        sent = datagrams(truth)
        assert list(check_decoded(truth, decoded(sent[5:], tmp_path), len(sent), 5)) == []

    def test_dropped_packet(self, truth: Truth, tmp_path: Path) -> None:
        sent = datagrams(truth)
        [complaint] = check_decoded(truth, decoded(sent[1:], tmp_path), len(sent), 0)
        assert "do not add up" in complaint

    def test_altered_sample(self, truth: Truth, tmp_path: Path) -> None:
        sent = datagrams(truth)
        spoilt = bytearray(sent[3])
        spoilt[-1] ^= 1
        [complaint] = check_decoded(truth, decoded([*sent[:3], bytes(spoilt), *sent[4:]], tmp_path), len(sent), 0)
        assert "checksum" in complaint

    def test_one_twice_instead_of_another(self, truth: Truth, tmp_path: Path) -> None:
        sent = datagrams(truth)
        [_, *rest] = [sent[8], *sent[1:]]
        assert list(check_decoded(truth, decoded([sent[8], *rest], tmp_path), len(sent), 0))

    def test_payloads_of_two_streams_exchanged(self, truth: Truth, tmp_path: Path) -> None:
        sent = datagrams(truth)
        crossed = [sent[0][:36] + sent[1][36:], sent[1][:36] + sent[0][36:], *sent[2:]]
        assert len(list(check_decoded(truth, decoded(crossed, tmp_path), len(sent), 0))) == 2

    def test_rejected_packet(self, truth: Truth, tmp_path: Path) -> None:
        sent = datagrams(truth)
        rubbish = [*sent[:-1], b"\x00" * 40]
        assert list(check_decoded(truth, decoded(rubbish, tmp_path), len(sent), 0))

    def test_unknown_stream(self, truth: Truth, tmp_path: Path) -> None:
        sent = datagrams(truth)
        stranger = sent[-1][:8] + bytes(16) + sent[-1][24:]
        assert any("never sent" in c for c in check_decoded(truth, decoded([stranger], tmp_path), 1, 0))


class TestFloor:
    def test_everything_received(self, truth: Truth) -> None:
        sent = datagrams(truth)
        assert list(check_floor(truth, dropped_by_the_floor(sent), len(sent), 0)) == []

    def test_dropped_packet(self, truth: Truth) -> None:
        sent = datagrams(truth)
        assert list(check_floor(truth, dropped_by_the_floor(sent[1:]), len(sent), 0))

    def test_truncated_packet(self, truth: Truth) -> None:
        sent = datagrams(truth)
        assert list(check_floor(truth, dropped_by_the_floor([*sent[:-1], sent[-1][:-1]]), len(sent), 0))

    def test_the_same_packet_again_and_again(self, truth: Truth) -> None:
        sent = datagrams(truth)
        assert list(check_floor(truth, dropped_by_the_floor([sent[0]] * len(sent)), len(sent), 0))

    def test_somebody_elses_packets(self, truth: Truth) -> None:
        sent = datagrams(truth)
        others = [datagram[:8] + bytes(16) + datagram[24:] for datagram in sent]
        assert list(check_floor(truth, dropped_by_the_floor(others), len(sent), 0))
