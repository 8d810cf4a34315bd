"""``python -m tests.kills --calls 200 --kills 100``: kill a server so often under so many calls, and tell what it cost."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.kills.campaign import Campaign, summary

ALLOWED_MS = 1000


def main() -> int:
    """Return 0 if every file was valid each time, lost no more than a second, and is one file per call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--workers", type=int, default=0, help="kill one of so many workers instead of the server")
    parser.add_argument("--longest", type=float, default=5.0, help="seconds between two kills, at most")
    parser.add_argument("--probed", type=int, default=20, help="files that ffprobe opens after each kill")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    moments = random.Random(given.seed)
    with tempfile.TemporaryDirectory(prefix="strep-kills-") as folder:
        campaign = Campaign(Path(folder), given.calls, workers=given.workers, probed=given.probed, seed=given.seed)
        try:
            campaign.wait_for_audio()
            for number in range(given.kills):
                campaign.kill(moments.uniform(0.05, given.longest))
                print(f"kill {number + 1}", end=" ", flush=True)
            campaign.wait_for_audio()
            losses = campaign.end()
        finally:
            campaign.close()
    verdicts = losses.verdicts
    print(f"\nopened by soxi {losses.opened['soxi']} times, by ffprobe {losses.opened['ffprobe']}")
    print(
        f"lost by a kill, ms: {summary(losses.lost_ms)}; over {ALLOWED_MS}: {sum(ms > ALLOWED_MS for ms in losses.lost_ms)}"
    )
    gaps_ms = [length / 8 for verdict in verdicts for _, length in verdict.gaps]
    print(f"restart gaps, ms: {summary(gaps_ms)}; per call: {summary([len(verdict.gaps) for verdict in verdicts])}")
    stretches = [stretch for verdict in verdicts for stretch in verdict.stretches]
    print(f"place after a gap, samples off: {summary([abs(stretch.shift) for stretch in stretches])}")
    print(f"not there outside gaps, samples a stretch: {summary([stretch.missing for stretch in stretches])}")
    for complaint in losses.complaints[:20]:
        print(complaint)
    print(f"{len(verdicts)} calls, {len(losses.complaints)} complaints")
    return int(bool(losses.complaints) or any(ms > ALLOWED_MS for ms in losses.lost_ms))


if __name__ == "__main__":
    sys.exit(main())
