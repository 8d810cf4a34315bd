"""What a process weighs."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Weight(msgspec.Struct, frozen=True):
    """Memory of a process, from /proc/PID/smaps_rollup.

    Attributes:
        rss_kib: resident.
        pss_kib: the same, pages that other processes share counted in part.
        private_dirty_kib: written to, and nobody else's.
    """

    rss_kib: int
    pss_kib: int
    private_dirty_kib: int


def weigh(pid: int) -> Weight:
    """Read what the kernel says of a process."""
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    kib = {fields[0].rstrip(":"): int(fields[1]) for fields in lines}
    return Weight(kib["Rss"], kib["Pss"], kib["Private_Dirty"])
