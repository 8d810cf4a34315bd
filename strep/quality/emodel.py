"""The E-model: a mean opinion score from loss, as ITU-T G.107 (06/2015) predicts it, for audio that is listened to.

What is assumed, for it cannot be measured at one end of a one-way fork:

- delay and echo impair nothing (Id = 0): nobody converses with the fork, and the delay of the call is not known;
- everything else than loss and codec has the recommendation's default values, by which R is 93.2 (G.107, table 3);
- the codec is G.711 or 16-bit PCM at 8 kHz, with Ie = 0 and the robustness Bpl of G.113, appendix I: 4.3 where lost
  packets are silent, 25.1 where they are concealed;
- speech is all the same: which packet is lost plays no part.

So the figure is that of the network alone. A call with a bad microphone has a good one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.floating[Any]]

DEFAULT_RATING = 93.2
"""R without impairments that are specific to this call (G.107, 7.7)."""
ROBUSTNESS_SILENT, ROBUSTNESS_CONCEALED = 4.3, 25.1
"""Bpl of G.711 without and with packet-loss concealment (G.113, table I.4)."""
_WORST_IMPAIRMENT = 95.0


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the model predicts.

    Attributes:
        rating: R, 0 to 93.2.
        mos: mean opinion score for listening and conversation, MOS-CQE of G.107 annex B, 1 to 4.41.
    """

    rating: float
    mos: float


def opinion(loss: float, burst_ratio: float = 1.0, *, is_concealed: bool = False) -> Opinion:
    """Return the opinion of G.711 with lost packets.

    Args:
        loss: share of packets that were not there when they were to be played, 0 to 1.
        burst_ratio: mean length of runs of lost packets over what it would be at random, `burst_ratio`; 1 at least.
        is_concealed: whoever plays it conceals losses as well as G.711 Appendix I does.

    Raises:
        ValueError: a loss that is none, or a burst ratio below 1.
    """
    if not 0 <= loss <= 1 or burst_ratio < 1:
        raise ValueError(f"loss={loss}, burst_ratio={burst_ratio}: a loss is 0 to 1, a burst ratio 1 or more")
    robustness = ROBUSTNESS_CONCEALED if is_concealed else ROBUSTNESS_SILENT
    percent = 100 * loss
    impairment = _WORST_IMPAIRMENT * percent / (percent / burst_ratio + robustness)  # G.107 (7-29), Ie = 0
    rating = max(DEFAULT_RATING - impairment, 0.0)
    return Opinion(rating, mos_of(rating))


def mos_of(rating: float) -> float:
    """Return the mean opinion score of a rating R (G.107 annex B); never below 1, as its own remark has it."""
    if rating <= 0:
        return 1.0
    if rating >= 100:
        return 4.5
    return max(1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6, 1.0)


def concealed_scores(loss: Float64, burst_ratio: Float64) -> Float64:
    """Return `opinion(...).mos` of many tracks whose losses are concealed; all three are (n,) float64."""
    percent = 100 * loss
    impairment = _WORST_IMPAIRMENT * percent / (percent / burst_ratio + ROBUSTNESS_CONCEALED)
    rating = np.maximum(DEFAULT_RATING - impairment, 0.0)
    score: Float64 = np.maximum(1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6, 1.0)
    return score
