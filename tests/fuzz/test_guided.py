"""The targets of the guided search hold what they promise for their seeds, and for everything that was ever found."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.fuzz.guided.cases import CASES
from tests.fuzz.guided.target import Bytes, Target, pieces
from tests.fuzz.guided.targets import TARGETS


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    yield
    logging.disable(logging.NOTSET)  # targets are


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_seeds(target: Target) -> None:
    seeds = list(target.seeds())
    assert seeds
    for seed in seeds:
        assert len(seed) <= target.max_bytes
        target.check(seed)
        target.check(seed[: len(seed) // 2])
    target.check(b"")


@pytest.mark.parametrize(("target", "what", "data"), CASES, ids=[what for _, what, _ in CASES])
def test_what_was_found_once(target: str, what: str, data: bytes) -> None:
    TARGETS[target].check(data)


def test_pieces_are_taken_apart_again() -> None:
    parts = [b"", b"a", b"b" * 254, b"c" * 255, b"d" * 3000]
    given = Bytes(pieces(*parts))
    assert [given.piece() for _ in parts] == parts
    assert not given
    assert given.piece() == b""
