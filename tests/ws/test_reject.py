from __future__ import annotations

from media.ws.reject import WsReject


def test_every_reason_has_its_own_text() -> None:
    assert len({reject.text for reject in WsReject}) == len(WsReject)
