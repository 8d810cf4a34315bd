"""Which rows share a message; what the kernel makes of them is in `test_sendmmsg`."""

from __future__ import annotations

import socket

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.carrier.datagrams import DatagramTable
from media.carrier.segments import MAX_MESSAGE_BYTES, MAX_SEGMENTS, can_segment, one_each, segment_starts, segmented

LENGTHS = st.lists(st.tuples(st.sampled_from([0, 1, 12, 196, 1400, 30_000, 65_507]), st.integers(1, 150)), min_size=1)


def table(lengths: list[int], width: int) -> DatagramTable:
    return DatagramTable(np.zeros((len(lengths), width), np.uint8), np.array(lengths, np.int64))


class TestSegmentStarts:
    @given(LENGTHS)
    def test_equal_neighbours_as_many_as_the_kernel_takes(self, runs: list[tuple[int, int]]) -> None:
        lengths = np.repeat([length for length, _ in runs], [count for _, count in runs])
        edges = np.append(segment_starts(lengths), len(lengths))
        assert edges[0] == 0
        for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            size, count = int(lengths[start]), stop - start
            assert (lengths[start:stop] == size).all()
            assert 1 <= count <= MAX_SEGMENTS
            assert count * size <= MAX_MESSAGE_BYTES
            assert size or count == 1
            if stop < len(lengths) and lengths[stop] == size and size:
                assert count == MAX_SEGMENTS or (count + 1) * size > MAX_MESSAGE_BYTES

    def test_full_messages_and_a_rest(self) -> None:
        assert segment_starts(np.full(150, 196)).tolist() == [0, 64, 128]

    def test_limited_by_bytes(self) -> None:
        assert segment_starts(np.full(5, 30_000)).tolist() == [0, 2, 4]


class TestMessages:
    def test_one_vector_where_rows_lie_end_to_end(self) -> None:
        messages = segmented(table([50] * 100, 50))
        assert messages.headers["iovlen"].tolist() == [1, 1]
        assert messages.rows_before.tolist() == [0, 64, 100]
        assert messages.is_segmented

    def test_a_vector_per_row_where_they_do_not(self) -> None:
        messages = segmented(table([50] * 100 + [51, 50], 60))
        assert messages.headers["iovlen"].tolist() == [64, 36, 1, 1]
        assert (messages.headers["controllen"] > 0).tolist() == [True, True, False, False]

    def test_nothing_to_cut(self) -> None:
        assert not segmented(table([1, 2, 3, 0, 0], 9)).is_segmented

    def test_one_each(self) -> None:
        messages = one_each(table([50] * 100, 50))
        assert len(messages) == 100
        assert messages.rows_before.tolist() == list(range(101))
        assert not messages.headers["controllen"].any()
        assert not messages.is_segmented


class TestCanSegment:
    def test_only_datagrams(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
            assert not can_segment(stream)

    @pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
    def test_both_versions_alike(self, family: socket.AddressFamily) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reference:
            try:
                udp_socket = socket.socket(family, socket.SOCK_DGRAM)
            except OSError:
                pytest.skip("no IPv6 here")
            with udp_socket:
                assert can_segment(udp_socket) == can_segment(reference)
