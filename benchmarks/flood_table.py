"""What floods came to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from benchmarks.report import Table
from media.config import ServerConfig

RECOVERY_TIMEOUT_S = 60.0
"""How long a newcomer is tried for after a flood."""
MOST_STRANGERS = ServerConfig().ws_max_strangers
_MEMORY_KIB = 64 << 10
"""More than before that a flood may take at its height; what it leaves behind is the peak of the heap."""


class Flood(msgspec.Struct, frozen=True):
    """One flood.

    Attributes:
        name: what it was.
        calls: that were recorded meanwhile.
        exact_tracks: of them (two each), to the sample what was sent.
        sent: packets and frames of these calls.
        received: of these, by their sidecars.
        kernel_drops: datagrams that found the socket's queue full, those of the flood included.
        told: by who flooded.
        seconds: how long it took.
        recovered_s: from its end until a newcomer was answered at once again.
        handshake_ms: newcomers' answers meanwhile, rising.
        rss_kib: before, at most, after all calls.
        descriptors: the same.
        calls_started: those of the flood included.
        conservation_errors: must be 0.
        rejected: datagrams, frames and sockets that were turned away.
        complaints: of the referee.
        calls_most: live at once, those of the flood included.
        max_calls: that were allowed to; 0 is any number.
    """

    name: str
    calls: int
    exact_tracks: int
    sent: int
    received: int
    kernel_drops: int
    told: dict[str, Any]
    seconds: float
    recovered_s: float
    handshake_ms: list[float]
    rss_kib: tuple[int, int, int]
    descriptors: tuple[int, int, int]
    calls_started: int
    conservation_errors: int
    rejected: int
    complaints: list[str]
    calls_most: int = 0
    max_calls: int = 0

    @property
    def tracks(self) -> int:
        """Of recorded calls."""
        return 2 * self.calls

    @property
    def lost(self) -> int:
        """Packets of recorded calls."""
        return self.sent - self.received


def line(flood: Flood) -> str:
    """Return a line."""
    return (
        f"{flood.name}: {flood.lost:,} of {flood.sent:,} packets lost, {flood.exact_tracks} of {flood.tracks} "
        f"tracks exact, {flood.kernel_drops:,} kernel drops, RSS {_mib(flood.rss_kib)} MiB, "
        f"recovered in {flood.recovered_s:.1f} s"
    )


def _mib(kib: Sequence[int]) -> str:
    return " / ".join(f"{one / 1024:.0f}" for one in kib)


def answers(floods: Sequence[Flood]) -> list[str]:
    """Return a sentence about all."""
    if not floods:
        return []
    sent, lost, exact, tracks = (
        sum(getattr(flood, name) for flood in floods) for name in ("sent", "lost", "exact_tracks", "tracks")
    )
    most = max(flood.rss_kib[1] for flood in floods) / 1024
    more = max(flood.rss_kib[1] - flood.rss_kib[0] for flood in floods) / 1024
    return [
        f"{len(floods)} floods: {lost:,} of {sent:,} packets of recorded calls lost, {exact:,} of {tracks:,} tracks "
        f"exact, {sum(flood.kernel_drops for flood in floods):,} kernel drops",
        f"RSS at most {most:.0f} MiB, at most {more:.0f} more than before a flood; recovered within "
        f"{max(flood.recovered_s for flood in floods):.1f} s",
    ]


def complaints(floods: Sequence[Flood]) -> list[str]:
    """Return what should not have been."""
    found = []
    for flood in floods:
        found += [f"{flood.name}: {text}" for text in flood.complaints]
        if flood.lost and not flood.kernel_drops:
            found.append(f"{flood.name}: {flood.lost} packets lost, and not by the kernel")
        if flood.lost > flood.kernel_drops:
            found.append(f"{flood.name}: {flood.lost} packets lost, {flood.kernel_drops} dropped by the kernel")
        if flood.exact_tracks < flood.tracks and not flood.kernel_drops:
            found.append(f"{flood.name}: {flood.exact_tracks} of {flood.tracks} tracks exact, nothing dropped")
        if flood.told.get("alive", 0) > MOST_STRANGERS:
            found.append(f"{flood.name}: {flood.told['alive']} sockets live that said nothing, not {MOST_STRANGERS}")
        if flood.recovered_s >= RECOVERY_TIMEOUT_S:
            found.append(f"{flood.name}: a newcomer was not answered at once within {RECOVERY_TIMEOUT_S:.0f} s")
        if flood.conservation_errors:
            found.append(f"{flood.name}: {flood.conservation_errors} conservation errors")
        if 0 < flood.max_calls < flood.calls_most:
            found.append(f"{flood.name}: {flood.calls_most} calls at once, allowed are {flood.max_calls}")
        if flood.rss_kib[1] - flood.rss_kib[0] > _MEMORY_KIB:
            found.append(f"{flood.name}: RSS {_mib(flood.rss_kib)} MiB")
    return found


def tables(floods: Sequence[Flood]) -> list[Table]:
    """Return one table."""
    columns = [
        "flood", "per s", "lost", "exact tracks", "kernel drops", "RSS, MiB", "descriptors", "handshake p99, ms",
        "recovered, s",
    ]  # fmt: skip
    cells = [
        [
            flood.name,
            f"{flood.told['per_s']:,.0f}" if "per_s" in flood.told else "",
            f"{flood.lost:,} of {flood.sent:,}",
            f"{flood.exact_tracks} of {flood.tracks}",
            f"{flood.kernel_drops:,}",
            _mib(flood.rss_kib),
            " / ".join(map(str, flood.descriptors)),
            f"{flood.handshake_ms[len(flood.handshake_ms) * 99 // 100]:,.0f}" if flood.handshake_ms else "none",
            f"{flood.recovered_s:.1f}",
        ]
        for flood in floods
    ]
    note = "RSS and descriptors: before the flood, at its height, after all calls."
    return [Table("Floods while calls are recorded", columns, cells, note=note)]
