"""Options are checked where they are made."""

from __future__ import annotations

from typing import Any

import pytest

from media.carrier.faults import Faults
from media.carrier.options import BLeg, SimulationOptions, Transport, WebSocketOptions
from strep.clock import NS_PER_SECOND
from strep.errors import ConfigurationError


class TestSimulation:
    def test_derived(self) -> None:
        options = SimulationOptions(seconds=1.0, ptime_ms=30)
        assert (options.packets, options.samples_per_packet, options.duration_ns) == (33, 240, 990_000_000)

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"calls": 0}, "calls"),
            ({"calls": 10_000, "audio": None}, "tones"),
            ({"ptime_ms": 25}, "ptime"),
            ({"seconds": 0.02}, "seconds"),
            ({"seed": -1}, "seed"),
            ({"faults": Faults(ssrc_change_at_ns=30 * NS_PER_SECOND)}, "ssrc-change"),
            ({"websocket": WebSocketOptions(drop_at_ns=20 * NS_PER_SECOND)}, "ws-drop"),
            ({"transport": Transport.RTP, "b_leg": BLeg.OWN_ID}, "b-leg"),
        ],
    )
    def test_refused_by_name(self, changes: dict[str, Any], text: str) -> None:
        with pytest.raises(ConfigurationError, match=text):
            SimulationOptions(**changes)


class TestWebSocket:
    @pytest.mark.parametrize("tracks", [(), ("both",)])
    def test_tracks(self, tracks: tuple[str, ...]) -> None:
        with pytest.raises(ConfigurationError, match="tracks"):
            WebSocketOptions(tracks=tracks)

    def test_dtmf(self) -> None:
        with pytest.raises(ConfigurationError, match="dtmf"):
            SimulationOptions(transport=Transport.WEBSOCKET, websocket=WebSocketOptions(dtmf="12X"))
