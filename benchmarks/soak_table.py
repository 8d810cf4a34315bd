"""What a soak comes to: the balance, what was flat, and what the referee has to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from benchmarks import soak_course
from benchmarks.report import Cells, Chart, Table
from benchmarks.serving import Metrics, Process
from benchmarks.soak_course import Drift, Sample, drift
from benchmarks.soak_wave import KINDS, WaveResult

BOUNDS: dict[str, tuple[Callable[[Sample], float], float, str]] = {
    "memory (PSS)": (lambda one: one.pss_kib, 4096, "KiB"),
    "descriptors": (lambda one: one.descriptors, 2, ""),
    "threads": (lambda one: one.threads, 1, ""),
}
"""What is to be flat: how it is read, by how much it may rise in an hour, and its unit."""
_LEFT_DESCRIPTORS = 1
"""More than before the first call: the socket on which the metrics were asked for last may be open yet."""
_NOTHING = ("conservation_errors", "failed_beats", "receive_errors", "recordings_failed", "sidecar_errors", "no_room")


class Course(msgspec.Struct, frozen=True):
    """A soak.

    Attributes:
        shortest_s: length of the shortest call.
        longest_s: of the longest.
        minutes: for which calls began.
        samples: looks at the server.
        waves: what came of each.
        before: the server before the first call.
        after: when the last one had gone.
        totals: its counters then.
        exit_code: of the server.
        said: what it has logged.
        left: files in its directory that no wave has claimed.
    """

    shortest_s: float
    longest_s: float
    minutes: float
    samples: list[Sample]
    waves: list[WaveResult]
    before: Process
    after: Process
    totals: dict[str, int]
    exit_code: int
    said: str
    left: list[str]

    def sum(self, name: str, kinds: Sequence[str] = tuple(KINDS)) -> int:
        """Return the sum of a field over the waves of some kinds."""
        return sum(getattr(wave, name) for wave in self.waves if wave.kind in kinds)

    @property
    def plateau(self) -> list[Sample]:
        """The looks between the first call's end and the last one's beginning."""
        return [one for one in self.samples if self.longest_s < one.at_s < self.minutes * 60]

    def drifts(self) -> dict[str, Drift | None]:
        """Return what is to be flat, judged."""
        return {name: drift(self.plateau, figure, bound) for name, (figure, bound, _) in BOUNDS.items()}


def totals(metrics: Metrics) -> dict[str, int]:
    """Return those counters that the balance is drawn up from."""
    return {
        "calls_started": metrics.get("strep_calls_started_total"),
        "calls_ended": metrics.get("strep_calls_ended_total"),
        "recordings_ended": metrics.get("strep_recordings_ended_total"),
        "recordings_failed": metrics.get("strep_recordings_failed_total"),
        "sidecar_errors": metrics.get("strep_sidecar_errors_total"),
        "conservation_errors": metrics.get("strep_conservation_errors_total"),
        "failed_beats": metrics.get("strep_failed_beats_total"),
        "receive_errors": metrics.get("strep_receive_errors_total"),
        "no_room": metrics.get("strep_ws_no_room_total"),
        "kernel_drops": metrics.get("strep_kernel_drops_total"),
        "received_all": metrics.total("strep_received_total"),
        "received_ws": metrics.get("strep_received_total", door="ws"),
        "rejected": metrics.total("strep_rejected_total"),
        "dropped_blocks": metrics.total("strep_sink_dropped_blocks_total"),
        "patched_samples": metrics.get("strep_recordings_patched_samples_total"),
    }


def complaints(course: Course) -> list[str]:
    """Return whatever does not add up, is missing, or is not flat."""
    found = [f"wave {wave.number}, {wave.kind}: {text}" for wave in course.waves for text in wave.complaints]
    counted, calls = course.totals, course.sum("calls")
    for name in ("calls_started", "calls_ended", "recordings_ended"):
        if counted[name] != calls:
            found.append(f"{name} is {counted[name]}, {calls} calls were made")
    found += [f"{name} is {counted[name]}" for name in (*_NOTHING, "rejected", "dropped_blocks") if counted[name]]
    sent, received = course.sum("sent", ("strep", "rtp")), counted["received_all"] - counted["received_ws"]
    if sent != received + counted["kernel_drops"]:
        found.append(f"{sent} datagrams left, {received} received, {counted['kernel_drops']} dropped by the kernel")
    if course.sum("sent") != course.sum("received") + counted["kernel_drops"]:
        found.append(f"{course.sum('sent')} packets and frames left, the sidecars have {course.sum('received')}")
    if course.sum("refused"):
        found.append(f"{course.sum('refused')} sends were refused")
    if course.left:
        found.append(f"files that nobody knows of: {course.left}")
    if course.exit_code:
        found.append(f"the server ended with {course.exit_code}: {course.said}")
    if course.after.descriptors > course.before.descriptors + _LEFT_DESCRIPTORS:
        found.append(f"descriptors: {course.before.descriptors} before, {course.after.descriptors} after")
    for name, judged in course.drifts().items():
        if judged is not None and not judged.is_flat:
            found.append(f"{name} rises by {judged.per_hour:,.1f} in an hour, more than {judged.bound:g}")
    return found


def doing(one: Sample, waves: Sequence[WaveResult]) -> str:
    """Return a line about now."""
    calls, missing = sum(wave.calls for wave in waves), sum(wave.missing_files for wave in waves)
    return (
        f"{one.calls} calls, {one.pss_kib / 1024:,.1f} MiB, {one.descriptors} descriptors, "
        f"{one.kernel_drops:,} kernel drops; {calls:,} calls judged, {missing} missing"
    )


def answers(course: Course) -> list[str]:
    """Return the sentences."""
    calls, counted = course.sum("calls"), course.totals
    tracks, short = course.sum("exact_tracks"), course.sum("short_tracks")
    found = [
        f"{calls:,} calls in {course.minutes:g} min, {_live(course)} live: "
        f"{course.sum('missing_files')} files missing, {tracks:,} of {2 * calls:,} tracks to the sample what was sent"
        + (f", {short:,} short of what the kernel dropped" if short else ""),
        f"{course.sum('sent'):,} packets and frames left the carrier = {course.sum('received'):,} received + "
        f"{counted['kernel_drops']:,} dropped by the kernel",
    ]
    for name, judged in course.drifts().items():
        if judged is not None:
            unit = BOUNDS[name][2]
            word = "flat" if judged.is_flat else "NOT FLAT"
            found.append(
                f"{name}: {word}, {judged.per_hour:+,.1f} (± {judged.error:,.1f}) {unit} an hour".replace("  ", " ")
                + f" (bound: {judged.bound:g})"
            )
    found.append(
        f"before the first call {course.before.descriptors} descriptors, {course.before.threads} threads, "
        f"{course.before.weight.pss_kib / 1024:,.1f} MiB; after the last {course.after.descriptors}, "
        f"{course.after.threads}, {course.after.weight.pss_kib / 1024:,.1f} MiB"
    )
    return found


def _live(course: Course) -> str:
    found = [one.calls for one in course.plateau] or [one.calls for one in course.samples]
    return f"{min(found)} to {max(found)}"


def tables(course: Course) -> list[Table]:
    """Return the balance by kind, and what was flat."""
    names = ("calls", "given", "network_lost", "duplicated", "sent", "received", "missing_files", "exact_tracks")
    columns = ["kind", "calls", "given", "lost on the line", "doubled", "left", "received", "missing", "exact tracks"]
    cells: Cells = [[kind, *(f"{course.sum(name, (kind,)):,}" for name in names)] for kind in KINDS]
    cells.append(["all", *(f"{course.sum(name):,}" for name in names)])
    note = "given - lost + doubled = left; left = received + dropped by the kernel."
    return [Table("Packets, frames and files", columns, cells, note=note), _flat(course)]


def _flat(course: Course) -> Table:
    cells = []
    for name, judged in course.drifts().items():
        figure, bound, unit = BOUNDS[name]
        values = [figure(one) for one in course.plateau] or [figure(one) for one in course.samples]
        if judged is None:
            rise, per_call = "too short to tell", ""
        else:
            rise, per_call = f"{judged.per_hour:+,.1f} ± {judged.error:,.1f}", f"{judged.per_call:,.2f}"
        what = f"{name}, {unit}" if unit else name
        cells.append([what, f"{min(values):,.0f}", f"{max(values):,.0f}", per_call, rise, f"{bound:,g}"])
    columns = ["figure", "least", "most", "per live call", "rise in an hour", "bound"]
    return Table("Flat?", columns, cells, note="Second half of the time, the number of calls taken out.")


def charts(course: Course) -> list[Chart]:
    """Return the curves."""
    return soak_course.charts(course.samples)


def conditions(course: Course) -> Cells:
    """Return what else is to be known."""
    last = course.samples[-1]
    late = max((wave.late_ms[1] for wave in course.waves), default=0.0)
    late_p99 = max((wave.late_ms[0] for wave in course.waves), default=0.0)
    opened = {name: sum(wave.opened.get(name, 0) for wave in course.waves) for name in ("soxi", "ffprobe")}
    return [
        ["a call", f"{course.shortest_s:g} to {course.longest_s:g} s, two directions, mu-law, recorded as it came"],
        ["the server", f"{last.cpu_s / last.at_s:.0%} of a core; recording at most "
         f"{max(one.lag_s for one in course.samples):.2f} s behind"],
        ["the sender", f"at most {late_p99:.0f} ms late at p99 of a wave, {late:.0f} ms at worst"],
        ["opened", f"by soxi {opened['soxi']:,}, by ffprobe {opened['ffprobe']:,}"],
        ["the sender stalled", f"for seconds in {course.sum('stalled_tracks'):,} tracks, which have a restart there"],
        ["came late, patched", f"{course.sum('late_patched_samples'):,} samples"],
    ]  # fmt: skip
