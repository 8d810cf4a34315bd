"""A recording as a picture: both channels over time, with what the ledger says in colour.

Needs matplotlib, the extra ``plot``; it is imported when a picture is drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from media.sinks.sidecar import Sidecar, Track
from strep.errors import ConfigurationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHANNELS = ("inbound", "outbound")
COLOURS = {
    "lost": "#d62f2f",
    "late-patched": "#f2a20c",
    "silence": "#9aa5b1",
    "paused": "#7db4e6",
    "restart": "#8a4fbf",
}
"""Kinds of the ledger that are shown; everything else is plainly received."""
WAVES = ("#2367a8", "#0f8a7e")
INK, FAINT = "#22303f", "#6b7785"
_WIDTH_INCHES, _HEIGHT_INCHES, _DPI = 12.0, 5.2, 120
_BINS = 1600
"""Columns of the waveform: about a pixel each."""
_NARROWEST = 1 / 700
"""Share of the time axis that a span takes at least, so that 20 ms of an hour are still to be seen."""
_FULL_SCALE = 32_768


def draw_recording(wav_path: Path, sidecar_path: Path, out_path: Path) -> None:
    """Draw a finished recording.

    Args:
        wav_path: of any length; it is read piece by piece.
        sidecar_path: the JSON beside it.
        out_path: the PNG to write.

    Raises:
        ConfigurationError: matplotlib is missing, or a file is not what it should be.
        OSError: a file cannot be read or written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigurationError("pictures need matplotlib: pip install '/path/to/strep[plot]'") from error
    try:
        sidecar = msgspec.json.decode(sidecar_path.read_bytes(), type=Sidecar)
    except msgspec.MsgspecError as error:
        raise ConfigurationError(f"{sidecar_path} is not a recording's sidecar: {error}") from error
    lows, highs = read_envelope(wav_path)
    duration_s = max(sidecar.length_samples / sidecar.sample_rate_hz, 0.001)
    figure = Figure(figsize=(_WIDTH_INCHES, _HEIGHT_INCHES), dpi=_DPI, facecolor="white")
    top, bottom = figure.subplots(2, 1, sharex=True)
    # Both on one scale, so that a faint party looks faint; but a silent call is not drawn as noise.
    peak = max(float(np.abs(lows).max(initial=0)), float(np.abs(highs).max(initial=0)), 0.02)
    for channel, axes in enumerate((top, bottom)):
        draw_wave(axes, lows[channel], highs[channel], duration_s, WAVES[channel])
        axes.set_ylim(-1.12 * peak, 1.5 * peak)  # room above for the strip of spans
        track = next((track for track in sidecar.tracks if track.channel == channel), None)
        _draw_spans(axes, track, sidecar.sample_rate_hz, duration_s)
        _label_track(axes, CHANNELS[channel], track, sidecar.sample_rate_hz)
    bottom.set_xlabel("seconds since the call's origin", color=INK)
    _entitle(figure, sidecar)
    figure.subplots_adjust(left=0.035, right=0.985, top=0.845, bottom=0.16, hspace=0.26)
    figure.savefig(out_path, format="png")


def read_envelope(wav_path: Path, bins: int = _BINS) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lowest and the highest sample of each bin, (2, bins) float64 of -1 to 1.

    Raises:
        ConfigurationError: not an audio file of two channels.
        OSError: it cannot be read.
    """
    import soundfile

    try:
        with soundfile.SoundFile(wav_path) as file:
            if file.channels != len(CHANNELS):
                raise ConfigurationError(f"{wav_path} has {file.channels} channels, not 2")
            edges = np.linspace(0, file.frames, bins + 1).astype(np.int64)
            lows, highs = np.zeros((2, bins)), np.zeros((2, bins))
            for column, count in enumerate(np.diff(edges).tolist()):
                samples = file.read(count, dtype="int16", always_2d=True)
                if len(samples):
                    lows[:, column], highs[:, column] = samples.min(axis=0), samples.max(axis=0)
                elif column:  # fewer samples than bins
                    lows[:, column], highs[:, column] = lows[:, column - 1], highs[:, column - 1]
    except soundfile.LibsndfileError as error:
        raise ConfigurationError(f"cannot read {wav_path}: {error}") from error
    return lows / _FULL_SCALE, highs / _FULL_SCALE


def figures_of(track: Track, sample_rate_hz: int) -> str:
    """Return a track's loss in words, shortest where there was none."""
    length = max(track.length_samples, 1)
    lost = track.totals.get("lost", 0)
    words = [f"{track.codec or 'no audio'}, {track.length_samples / sample_rate_hz:.2f} s"]
    packets = track.statistics.get("never_arrived")
    count = (
        ""
        if packets is None
        else f" ({packets:,} packet{'' if packets == 1 else 's'}, {1000 * lost / sample_rate_hz:,.0f} ms)"
    )
    words.append(f"lost {100 * lost / length:.2f} %{count}" if lost else "nothing lost")
    for kind in COLOURS:
        samples = track.totals.get(kind, 0)
        if samples and kind != "lost":
            words.append(f"{kind} {1000 * samples / sample_rate_hz:,.0f} ms")
    return "  ·  ".join(words)


def draw_wave(
    axes: Axes, low: NDArray[np.float64], high: NDArray[np.float64], duration_s: float, colour: str
) -> None:
    """Draw a channel as `read_envelope` has it, and nothing around it but a time axis."""
    times_s = (np.arange(len(low)) + 0.5) * duration_s / len(low)
    axes.axhline(0, color=colour, linewidth=0.6, alpha=0.6)
    axes.fill_between(times_s, low, high, color=colour, linewidth=0.35, zorder=3)
    axes.set_xlim(0, duration_s)
    axes.locator_params(axis="x", nbins=11, steps=[1, 2, 5, 10])
    axes.set_yticks([])
    axes.tick_params(axis="x", colors=FAINT, labelcolor=INK, labelsize=9, length=3)
    axes.grid(axis="x", color="#e3e7ec", linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#c9ced6")


def _draw_spans(axes: Axes, track: Track | None, sample_rate_hz: int, duration_s: float) -> None:
    """Mark what is not plainly received: a tint over the wave, and full colour in a strip above it."""
    strip = axes.get_xaxis_transform()
    axes.broken_barh([(0, duration_s)], (0.93, 0.055), facecolors="#eef1f4", transform=strip, zorder=1)
    if track is None:
        return
    for kind, colour in COLOURS.items():
        spans = [
            (span.start_samples / sample_rate_hz, max(span.length_samples / sample_rate_hz, duration_s * _NARROWEST))
            for span in track.ledger
            if span.kind == kind
        ]
        if spans:
            axes.broken_barh(spans, (0, 0.93), facecolors=colour, alpha=0.22, transform=strip, zorder=2)
            axes.broken_barh(spans, (0.93, 0.055), facecolors=colour, transform=strip, zorder=4)


def _label_track(axes: Axes, name: str, track: Track | None, sample_rate_hz: int) -> None:
    axes.set_title(name, loc="left", fontsize=10.5, fontweight="bold", color=INK, pad=5)
    text = figures_of(track, sample_rate_hz) if track else "no audio"
    axes.set_title(text, loc="right", fontsize=9, color=FAINT, pad=5)


def _entitle(figure: Figure, sidecar: Sidecar) -> None:
    from matplotlib.patches import Patch

    figure.text(0.035, 0.945, sidecar.call_id, fontsize=14, fontweight="bold", color=INK)
    seconds = f"{sidecar.length_samples / sidecar.sample_rate_hz:.2f} s"
    length = sum(track.length_samples for track in sidecar.tracks)
    lost = sum(track.totals.get("lost", 0) for track in sidecar.tracks)
    loss = f"{100 * lost / length:.2f} % lost" if lost else "nothing lost"
    facts = [sidecar.door, sidecar.started_at[:19].replace("T", " ") + " UTC", seconds, loss]
    if sidecar.state != "complete":
        facts.append(sidecar.state)
    figure.text(0.985, 0.945, "  ·  ".join(facts), fontsize=10.5, color=FAINT, ha="right")
    present = {kind for track in sidecar.tracks for kind, samples in track.totals.items() if samples}
    patches: list[Any] = [Patch(color=colour, label=kind) for kind, colour in COLOURS.items() if kind in present]
    if patches:
        figure.legend(
            handles=patches,
            loc="lower right",
            bbox_to_anchor=(0.987, 0.0),
            ncols=len(patches),
            frameon=False,
            fontsize=9,
            labelcolor=INK,
            handlelength=1.4,
        )
