"""What may become of calls that are recorded."""

from __future__ import annotations

from typing import Any, Literal

from hypothesis import strategies as st

from strep.g711 import Codec

Format = Literal["pcm16", "passthrough"]
FORMATS: list[Format] = ["pcm16", "passthrough"]
CALLS, HORIZON = 3, 100_000


@st.composite
def steps(draw: st.DrawFn) -> list[tuple[int, bool, list[tuple[Any, ...]]]]:
    """Batches: milliseconds before, late or not, and rows whose position is relative to their track's end."""
    codec = st.sampled_from([Codec.PCMU, Codec.PCMU, Codec.PCMA])
    delta = st.one_of(st.just(0), st.just(0), st.just(0), st.integers(-15_000, 15_000))
    cut = st.one_of(st.just(0), st.just(0), st.just(0), st.integers(0, 1200))
    row = st.tuples(st.integers(0, CALLS - 1), st.integers(0, 1), delta, cut, cut, codec)
    batch = st.tuples(st.sampled_from([20, 100, 1100]), st.booleans(), st.lists(row, max_size=8))
    return draw(st.lists(batch, max_size=25))
