"""How figures look on a terminal: words and colours, the same on every screen."""

from __future__ import annotations

BAD_LOSS, POOR_LOSS = 0.03, 0.01
BAD_MOS, POOR_MOS = 3.1, 3.6
"""ITU-T G.107 table B.1: below 3.1 nearly all users are dissatisfied, below 3.6 many."""


def percent_text(share: float) -> str:
    """Return a share of 0 to 1 as percent."""
    return "0 %" if not share else f"{share:.2%}".replace("%", " %")


def loss_style(share: float) -> str:
    """Return how a loss of 0 to 1 is written."""
    return "bold red" if share >= BAD_LOSS else "yellow" if share >= POOR_LOSS else "" if share else "dim"


def mos_style(mos: float | None) -> str:
    """Return how an opinion of 1 to 4.5 is written."""
    if mos is None:
        return ""
    return "bold red" if mos < BAD_MOS else "yellow" if mos < POOR_MOS else "green"
