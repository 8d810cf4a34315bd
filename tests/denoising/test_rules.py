from __future__ import annotations

import pytest

from media.denoising.rules import DIRECTIONS, Denoised, parse_denoised


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_there_and_back(direction: str) -> None:
    rule = Denoised("transcriber", direction)
    assert parse_denoised(str(rule)) == rule


def test_inbound_is_meant() -> None:
    assert parse_denoised("recording") == Denoised("recording", "inbound")
    assert parse_denoised(" recording : BOTH ") == Denoised("recording", "both")


@pytest.mark.parametrize(("text", "why"), [("", "SINK"), (":both", "SINK"), ("x:", "''"), ("x:left", "'left'")])
def test_what_it_is_not(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_denoised(text)
