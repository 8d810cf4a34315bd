"""What `strep inspect` says about a capture, as records: one per track, and the totals; also its JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from media.captures.census import STATIC_TYPES, Census, StrepKey
from media.captures.inspect import Findings
from media.sinks.contract import CallInfo, TrackReport
from strep.clock import NS_PER_SECOND
from strep.header import Direction, Leg
from strep.ledger import Kind

GAP_KINDS = (Kind.LOST, Kind.LATE_PATCHED, Kind.SILENCE, Kind.RESTART)


@dataclass(frozen=True, slots=True)
class Gap:
    """A span of a track that is not plainly received."""

    kind: str
    time: str
    """Wall time, ISO 8601."""
    start_ms: float
    """Since the capture began."""
    duration_ms: float


@dataclass(frozen=True, slots=True)
class GapFigures:
    """All gaps of one kind in a track. `count` and `longest_ms` are of those the ledger still lists one by one."""

    count: int = 0
    total_ms: float = 0.0
    longest_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class TrackSummary:
    """One track of one call, as the server would have it."""

    protocol: str
    """"strep" or "rtp"."""
    call_id: str
    """Name of the call, and of its recording."""
    call_leg_id: str
    leg: str
    """"A" or "B"; empty for plain RTP, as is `call_leg_id`."""
    direction: str
    """"inbound" or "outbound"; for plain RTP between strangers, which of the two came first."""
    source: str
    """Address and port of the first packet."""
    destination: str
    """For plain RTP; of a pair that the operator named, its name and "rx" or "tx"."""
    ssrc: str
    """Of the first packet, in hexadecimal."""
    codec: str
    """What came, as it was decoded: "PCMU", "OPUS", ...; empty if nothing came that could be."""
    payload_types: dict[str, int]
    """Packets by payload type, over all calls of this key."""
    packets: int
    lost: int
    """RFC 3550 A.3: expected - received, negative when duplicates outnumber losses."""
    lost_percent: float
    """Of the expected."""
    duplicates: int
    reordered: int
    late: int
    """Came when their place had been given up: in a recording, but not in what live sinks heard."""
    jitter_mean_ms: float
    jitter_max_ms: float
    restarts: int
    """New SSRCs, sequence resets and timestamp jumps; `statistics` calls them epochs."""
    gaps: dict[str, GapFigures]
    """By kind: "lost", "late-patched", "silence", "restart"."""
    start: str
    """Wall time of the first sample, ISO 8601."""
    start_ms: float
    """The same since the capture began."""
    duration_ms: float
    """Of the tape: from the first sample to the end of the last one."""
    statistics: dict[str, Any]
    """Everything that was counted; see `strep.statistics.TrackStatistics`."""
    ledger: list[Gap]

    @property
    def epochs(self) -> int:
        """Runs of the stream: 1, and one more for every restart."""
        return self.restarts + 1


@dataclass(frozen=True, slots=True)
class CaptureSummary:
    """One capture."""

    file: str
    frames: int
    datagrams: int
    start: str
    duration_ms: float
    tracks: list[TrackSummary]
    rejected: dict[str, int]
    """Datagrams that are no call audio, by reason."""
    skipped: dict[str, int]
    """Frames without a datagram, by reason."""
    conservation_errors: int
    warnings: list[str]

    def to_json(self) -> bytes:
        """Return it as JSON for programs and people."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)


def summarize(file: str, findings: Findings) -> CaptureSummary:
    """Return the summary of `findings`, tracks in the order of their beginning."""
    census = findings.census
    summaries = _TrackSummaries(census)
    tracks = [summaries.of(info, report) for info, call in findings.calls for report in call.tracks]
    warnings = list(findings.warnings)
    if findings.failed_recordings:
        warnings.append(f"{findings.failed_recordings} recordings could not be written; see their sidecars")
    return CaptureSummary(
        file=file,
        frames=findings.frames,
        datagrams=census.datagrams,
        start=iso(census.first_ns) if census.datagrams else "",
        duration_ms=_ms(census.last_ns - census.first_ns),
        tracks=sorted(tracks, key=lambda track: (track.start_ms, track.call_id, track.direction)),
        rejected=dict(findings.rejected.most_common()),
        skipped={reason.name: frames for reason, frames in findings.skipped.most_common()},
        conservation_errors=findings.conservation_errors,
        warnings=warnings,
    )


def iso(time_ns: int) -> str:
    """Return ns since the epoch as ISO 8601 in UTC, to the microsecond."""
    seconds, rest_ns = divmod(time_ns, NS_PER_SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns // 1000:06d}Z"


def _ms(duration_ns: int) -> float:
    return round(duration_ns / 1e6, 3)


class _TrackSummaries:
    """Makes track summaries; knows what the census saw."""

    def __init__(self, census: Census) -> None:
        self._start_ns = census.first_ns
        self._strep_types = census.strep_payload_types()
        self._flow_types = census.flow_payload_types()

    def of(self, info: CallInfo, report: TrackReport) -> TrackSummary:
        """Return the summary of one track of the call `info`."""
        statistics, source = report.statistics, report.sources[0]
        types = self._types(info, report)
        position_ns = report.start_samples * NS_PER_SECOND // info.sample_rate_hz
        start_ns = info.started_wall_ns + position_ns
        ledger = [self._gap(info, span) for span in report.ledger]
        return TrackSummary(
            protocol=info.door,
            call_id=info.call_id,
            call_leg_id=info.identity.get("call_leg_id", ""),
            leg=info.identity.get("leg", ""),
            direction=report.direction.name.lower(),
            source=_endpoint(source),
            destination=_destination(info, report),
            ssrc=f"{source['ssrc']:08x}",
            codec=report.codec or "",
            payload_types={str(payload_type): n for payload_type, n in types.most_common()},
            packets=statistics["received"],
            lost=statistics["cumulative_lost"],
            lost_percent=round(100 * statistics["cumulative_lost"] / max(statistics["expected"], 1), 3),
            duplicates=statistics["duplicate"],
            reordered=statistics["reordered"],
            late=statistics["late"],
            jitter_mean_ms=statistics["jitter_mean_ms"],
            jitter_max_ms=statistics["jitter_max_ms"],
            restarts=statistics["epochs"],
            gaps=_figures(ledger, report.totals, info.sample_rate_hz),
            start=iso(start_ns),
            start_ms=_ms(start_ns - self._start_ns),
            duration_ms=report.length_samples * 1000 / info.sample_rate_hz,
            statistics=statistics,
            ledger=ledger,
        )

    def _types(self, info: CallInfo, report: TrackReport) -> Counter[int]:
        if info.door == "strep":
            key = StrepKey(UUID(info.identity["call_leg_id"]), Leg[info.identity["leg"]], report.direction)
            return self._strep_types.get(key, Counter())
        source = report.sources[0]
        return self._flow_types.get(((source["address"], source["port"]), source["ssrc"]), Counter())

    def _gap(self, info: CallInfo, span: tuple[int, int, str]) -> Gap:
        position, length, kind = span
        at_ns = info.started_wall_ns + position * NS_PER_SECOND // info.sample_rate_hz
        duration_ms = length * 1000 / info.sample_rate_hz
        return Gap(kind, iso(at_ns), _ms(at_ns - self._start_ns), duration_ms)


def _figures(ledger: Iterable[Gap], totals: dict[str, int], sample_rate_hz: int) -> dict[str, GapFigures]:
    durations: dict[str, list[float]] = {kind.value: [] for kind in GAP_KINDS}
    for gap in ledger:
        durations.setdefault(gap.kind, []).append(gap.duration_ms)
    return {
        kind: GapFigures(len(found), totals.get(kind, 0) * 1000 / sample_rate_hz, max(found, default=0.0))
        for kind, found in durations.items()
    }


def _destination(info: CallInfo, report: TrackReport) -> str:
    if info.door == "strep":
        return ""
    if "destination" in report.sources[0]:
        return _endpoint(report.sources[0]["destination"])
    return f"{info.identity['name']} {'rx' if report.direction is Direction.INBOUND else 'tx'}"


def _endpoint(address: dict[str, Any]) -> str:
    host, port = address["address"], address["port"]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def codec_text(track: TrackSummary) -> str:
    """Return the payload types of a track with their names, the most frequent first."""
    numbers = list(track.payload_types)
    names = [STATIC_TYPES.get(int(number), "") for number in numbers]
    if names and not names[0]:
        names[0] = track.codec  # of a dynamic type, where the operator said what it stands for
    return ", ".join(f"{name} ({n})" if name else n for name, n in zip(names, numbers, strict=True)) or track.codec
