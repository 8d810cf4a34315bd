"""``python -m tests.kills --calls 200 --kills 100``: kill a server so often under calls, and tell the cost."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.kills.campaign import Campaign, summary

ALLOWED_MS = 1000


def tell(line: str) -> None:
    """Say it at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Return 0 if every file was valid each time, lost no more than a second, and is one file per call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--workers", type=int, default=0, help="kill one of so many workers instead of the server")
    parser.add_argument("--minutes", type=float, default=60.0, help="kill no more after so long")
    parser.add_argument("--longest", type=float, default=5.0, help="seconds between two kills, at most")
    parser.add_argument("--probed", type=int, default=20, help="files that ffprobe opens after each kill")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    moments = random.Random(given.seed)
    with tempfile.TemporaryDirectory(prefix="strep-kills-") as folder:
        campaign = Campaign(Path(folder), given.calls, workers=given.workers, probed=given.probed, seed=given.seed)
        try:
            campaign.wait_for_audio()
            until_s = time.monotonic() + 60 * given.minutes
            for number in range(given.kills):
                if time.monotonic() > until_s:
                    break
                campaign.kill(moments.uniform(0.05, given.longest))
                tell(f"kill {number + 1}")
            campaign.wait_for_audio()
            losses = campaign.end()
        finally:
            campaign.close()
    verdicts = losses.verdicts
    tell(f"opened by soxi {losses.opened['soxi']} times, by ffprobe {losses.opened['ffprobe']}")
    too_much = sum(ms > ALLOWED_MS for ms in losses.lost_ms)
    tell(f"lost by a kill, ms: {summary(losses.lost_ms)}; over {ALLOWED_MS}: {too_much}")
    gaps_ms = [length / 8 for verdict in verdicts for _, length in verdict.gaps]
    tell(f"restart gaps, ms: {summary(gaps_ms)}; per call: {summary([len(verdict.gaps) for verdict in verdicts])}")
    stretches = [stretch for verdict in verdicts for stretch in verdict.stretches]
    tell(f"place after a gap, samples off: {summary([abs(stretch.shift) for stretch in stretches])}")
    tell(f"not there outside gaps, samples a stretch: {summary([stretch.missing for stretch in stretches])}")
    for complaint in losses.complaints[:20]:
        tell(complaint)
    tell(f"{len(verdicts)} calls, {len(losses.complaints)} complaints")
    return int(bool(losses.complaints) or too_much > 0)


if __name__ == "__main__":
    sys.exit(main())
