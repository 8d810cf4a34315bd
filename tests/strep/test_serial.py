"""Modular differences against arithmetic without a modulus."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from strep.serial import (
    signed_difference_16,
    signed_difference_32,
    signed_differences_16,
    signed_differences_32,
)

positions = st.integers(0, 2**40)


@given(positions, st.integers(-(2**15), 2**15 - 1))
def test_16_bits(older: int, step: int) -> None:
    assert signed_difference_16((older + step) % 2**16, older % 2**16) == step


@given(positions, st.integers(-(2**31), 2**31 - 1))
def test_32_bits(older: int, step: int) -> None:
    assert signed_difference_32((older + step) % 2**32, older % 2**32) == step


@given(st.lists(st.tuples(positions, st.integers(-(2**15), 2**15 - 1)), max_size=20))
def test_columns_take_extended_numbers_too(pairs: list[tuple[int, int]]) -> None:
    older = np.array([a for a, _ in pairs], np.int64)
    step = np.array([b for _, b in pairs], np.int64)
    assert np.array_equal(signed_differences_16((older + step) % 2**16, older), step)
    assert np.array_equal(signed_differences_32((older + step) % 2**32, older), step)
