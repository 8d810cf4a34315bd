"""The talk as a picture: what the caller said above, what she heard below, and what of it belongs together.

Needs matplotlib, the extra ``plot``; it is imported when a picture is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from media.demo.talk import Answer
from media.pictures import FAINT, INK, WAVES, draw_wave, read_envelope
from strep.g711 import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#2367a8", "#f2a20c", "#8a4fbf")
_WIDTH_INCHES, _HEIGHT_INCHES, _DPI = 12.0, 5.2, 120


def draw_talk(wav_path: Path, answers: Sequence[Answer], out_path: Path) -> None:
    """Draw a talk that is over.

    Args:
        wav_path: both sides, left what was said.
        answers: what became of each phrase.
        out_path: the PNG to write.

    Raises:
        ConfigurationError: `wav_path` is not what it should be.
        OSError: a file cannot be read or written.
    """
    from matplotlib.figure import Figure

    lows, highs = read_envelope(wav_path)
    duration_s = soundfile.info(wav_path).duration
    peak = max(float(np.abs(lows).max()), float(np.abs(highs).max()), 0.02)
    figure = Figure(figsize=(_WIDTH_INCHES, _HEIGHT_INCHES), dpi=_DPI, facecolor="white")
    said, heard = figure.subplots(2, 1, sharex=True)
    for channel, (axes, name) in enumerate(((said, "the caller says"), (heard, "the caller hears"))):
        draw_wave(axes, lows[channel], highs[channel], duration_s, WAVES[channel])
        axes.set_ylim(-1.12 * peak, 1.5 * peak)
        axes.set_title(name, loc="left", fontsize=10.5, fontweight="bold", color=INK, pad=5)
    for answer, colour in zip(answers, _COLOURS, strict=False):
        _mark(said, heard, answer, colour)
    heard.set_xlabel("seconds since the call's origin", color=INK)
    figure.text(0.035, 0.945, "a caller and a parrot", fontsize=14, fontweight="bold", color=INK)
    figure.text(0.985, 0.945, "media WebSocket, mu-law at 8 kHz both ways", fontsize=10.5, color=FAINT, ha="right")
    figure.subplots_adjust(left=0.035, right=0.985, top=0.845, bottom=0.1, hspace=0.26)
    figure.savefig(out_path, format="png")


def _mark(said: Axes, heard: Axes, answer: Answer, colour: str) -> None:
    """Tint a phrase where it was said and where it was heard back, and say how late and how much of it that was."""
    phrase, length_s = answer.phrase, answer.phrase.samples / SAMPLE_RATE_HZ
    _tint(said, phrase.at_s, length_s, colour, phrase.text)
    if answer.heard_at_s is not None:
        how = "sample by sample" if answer.is_right else "not the same"
        if answer.is_right and not phrase.is_answered_whole:
            how += ", cut off"
        later = f"{answer.heard_at_s - phrase.at_s:.2f} s later, {how}"
        _tint(heard, answer.heard_at_s, answer.same / SAMPLE_RATE_HZ, colour, later)


def _tint(axes: Axes, at_s: float, length_s: float, colour: str, text: str) -> None:
    axes.axvspan(at_s, at_s + length_s, color=colour, alpha=0.16, linewidth=0, zorder=2)
    axes.text(at_s, 0.97, f" {text}", transform=axes.get_xaxis_transform(), va="top", fontsize=8.5, color=INK)
