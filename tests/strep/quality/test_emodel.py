"""The E-model against figures worked out by hand from ITU-T G.107 and G.113."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.quality.emodel import mos_of, opinion


def test_a_clean_call_has_the_default_rating() -> None:
    assert opinion(0.0).rating == 93.2
    assert opinion(0.0).mos == pytest.approx(4.41, abs=0.005)  # G.107: MOS 4.41 for R = 93.2


@pytest.mark.parametrize(("rating", "mos"), [(90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58)])
def test_ratings_are_those_of_annex_b(rating: float, mos: float) -> None:
    """G.107 table B.1, whose own rounding is off by up to 0.006."""
    assert mos_of(rating) == pytest.approx(mos, abs=0.01)


@pytest.mark.parametrize(
    ("loss", "is_concealed", "rating"),
    [
        (0.01, False, 93.2 - 95 / 5.3),
        (0.05, False, 93.2 - 95 * 5 / 9.3),
        (0.01, True, 93.2 - 95 / 26.1),
        (0.05, True, 93.2 - 95 * 5 / 30.1),
    ],
)
def test_loss_costs_what_the_formula_says(loss: float, is_concealed: bool, rating: float) -> None:
    assert opinion(loss, is_concealed=is_concealed).rating == pytest.approx(rating)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(1, 20), st.booleans())
def test_more_loss_is_never_better(one: float, other: float, ratio: float, is_concealed: bool) -> None:
    better, worse = (opinion(loss, ratio, is_concealed=is_concealed) for loss in sorted((one, other)))
    assert 4.42 > better.mos >= worse.mos >= 1


@given(st.floats(0.001, 1), st.floats(1, 20), st.floats(1, 20))
def test_bursts_are_never_better(loss: float, one: float, other: float) -> None:
    few, many = sorted((one, other))
    assert opinion(loss, few).rating >= opinion(loss, many).rating


@pytest.mark.parametrize(("loss", "ratio"), [(-0.1, 1), (1.1, 1), (0.1, 0.9), (float("nan"), 1)])
def test_nonsense_is_refused(loss: float, ratio: float) -> None:
    with pytest.raises(ValueError, match="a loss is 0 to 1"):
        opinion(loss, ratio)
