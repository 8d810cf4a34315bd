"""What the sender does to its own stream."""

from __future__ import annotations

import numpy as np
import pytest

from media.carrier.faults import Extra, Faults
from media.carrier.network import Span
from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.errors import ConfigurationError

TIMES_NS = np.arange(5_000, dtype=np.int64) * 20 * NS_PER_MS


def sent(faults: Faults, seed: int = 1) -> np.ndarray:
    return faults.is_sent(TIMES_NS, np.random.default_rng(seed))


class TestPauses:
    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
    def test_share(self, share: float) -> None:
        assert 1 - sent(Faults(dtx=share)).mean() == pytest.approx(share, abs=0.07)

    def test_come_as_talkspurts(self) -> None:
        changes = np.count_nonzero(np.diff(sent(Faults(dtx=0.5))))
        assert 50 < changes < 500

    def test_hold(self) -> None:
        mask = sent(Faults(hold=Span(10 * NS_PER_SECOND, 20 * NS_PER_SECOND)))
        assert np.flatnonzero(~mask).tolist() == list(range(500, 1_500))

    def test_both_ends_are_sent(self) -> None:
        for seed in range(20):
            mask = sent(Faults(dtx=0.9, hold=Span(0, 100 * NS_PER_SECOND)), seed)
            assert mask[0]
            assert mask[-1]

    def test_nothing_by_default(self) -> None:
        assert sent(Faults()).all()


class TestExtras:
    def test_share_and_mixture(self) -> None:
        flags = Faults(extras=0.25).draw_extras(8_000, np.random.default_rng(1))
        assert (flags > 0).mean() == pytest.approx(0.25, abs=0.03)
        assert set(flags.tolist()) == set(range(8))
        assert max(flags) == Extra.EXTENSION | Extra.CSRC | Extra.PADDING


class TestSettings:
    @pytest.mark.parametrize(("name", "value"), [("dtx", 1.0), ("extras", 1.5), ("malformed", -0.1)])
    def test_refused_by_name(self, name: str, value: float) -> None:
        with pytest.raises(ConfigurationError, match=name):
            Faults(**{name: value})  # type: ignore[arg-type]

    def test_header_bytes(self) -> None:
        with pytest.raises(ConfigurationError, match="header_bytes"):
            Faults(header_bytes=23)
