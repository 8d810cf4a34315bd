"""What a worker does when its supervisor asks it something."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Any

import msgspec

from media.control.status import details_of
from media.http.house import CALLS_AT_ONCE, calls_of, full_call, shortage_of
from media.server import Server
from media.workers.control import Announce, Answer, Ask, Withdraw, encode

MAX_ANSWER_BYTES = 96 << 10
"""What one message may have, whatever the system's least send buffer (net.core.wmem_default, about 200 KiB)."""


def obey(server: Server, order: Announce | Withdraw | Ask) -> Answer | None:
    """Do as told, in the event loop of the server; return what is to be answered."""
    if isinstance(order, Announce):
        for leg, good_for_s in order.legs:
            server.legs.register(leg, good_for_s)
        return None
    if isinstance(order, Withdraw):
        server.legs.withdraw(order.leg)
        return None
    return answer_to(server, order)


def answer_to(server: Server, ask: Ask) -> Answer:
    """Return the answer; of calls so many as one message has room for, at least one."""
    engine = server.engine
    if ask.about == "legs":
        return Answer(ask.number, server.legs.status())
    if ask.about == "shortage":
        return Answer(ask.number, shortage_of(engine))
    if ask.about == "has":
        return Answer(ask.number, ask.call_id in engine.calls)
    if ask.about == "call":
        found = full_call(engine, ask.call_id, partial(details_of, server))
        return Answer(ask.number, found and _fitting(found))
    first, last = ask.offset, ask.offset + min(ask.limit, CALLS_AT_ONCE)
    calls = [_fitting(call) for call in calls_of(engine, list(islice(engine.calls, first, last)))]
    make = partial(Answer, ask.number)
    while len(encode(make({"total": len(engine.calls), "calls": calls}))) > MAX_ANSWER_BYTES and len(calls) > 1:
        calls = calls[: len(calls) // 2]
    return make({"total": len(engine.calls), "calls": calls})


def _fitting(call: dict[str, Any]) -> dict[str, Any]:
    """Return a call without what the carrier said of it, if that is more than a message has room for."""
    if len(msgspec.json.encode(call["identity"], enc_hook=str)) > MAX_ANSWER_BYTES // 2:
        return call | {"identity": {}}
    return call
