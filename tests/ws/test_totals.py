from __future__ import annotations

from media.ws.reject import WsReject
from media.ws.snapshot import ConnectionSnapshot
from media.ws.states import State
from media.ws.totals import WsTotals


def test_open_and_settled_connections_add_up() -> None:
    totals = WsTotals()
    ended = ConnectionSnapshot(State.STOPPED, "a", 5, 3, {WsReject.BINARY: 2})
    alive = ConnectionSnapshot(State.STREAMING, "b", 4, 2, {WsReject.BINARY: 1, WsReject.NOT_JSON: 1})
    totals.settle(ended, 1000)
    for _ in range(2):
        snapshot = totals.snapshot([alive])
        assert (snapshot.connections, snapshot.received, snapshot.accepted) == (1, 9, 5)
        assert snapshot.rejected == {WsReject.BINARY: 3, WsReject.NOT_JSON: 1}
        assert snapshot.closed == {1000: 1}
