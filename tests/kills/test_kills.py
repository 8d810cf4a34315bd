"""Every file is valid at the moment of a kill, and each call is one file in the end, every sample in its place.

A few kills only, and no bound on time, for this runs on machines of any speed; ``make kills`` is the long form, which
also says how much each kill cost. What it may cost by construction: `tests.media.test_what_a_kill_costs`.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from media.workers.steering import is_supported
from tests.kills import opened
from tests.kills.campaign import Campaign

CALLS, KILLS = 10, 3

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.skipif(not is_supported(), reason="needs Linux"),
    pytest.mark.skipif(not opened.are_installed(), reason="needs sox and ffmpeg: make peers"),
]


@pytest.mark.parametrize("workers", [0, 2])
def test_killed_and_continued(tmp_path: Path, workers: int) -> None:
    moments = random.Random(workers)
    campaign = Campaign(tmp_path, CALLS, workers=workers, probed=3)
    try:
        campaign.wait_for_audio()
        for _ in range(KILLS):
            campaign.kill(moments.uniform(0.05, 0.5))
        campaign.wait_for_audio()
        losses = campaign.end()
    finally:
        campaign.close()
    assert losses.complaints == []
    assert losses.opened["soxi"] == CALLS * KILLS
    assert len(losses.verdicts) == CALLS
    gaps = [len(verdict.gaps) for verdict in losses.verdicts]
    assert all(gaps) if not workers else any(gaps)
    assert max(gaps) <= KILLS
