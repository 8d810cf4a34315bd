"""Receivers of media streams: servers for the same WebSockets, each with the members of `Contender`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import cast

from benchmarks.contenders import Contender, Kind
from benchmarks.contenders.installed import missing_of

_DECODES = "JSON, base64, mu-law"
_RECORDS = "the whole path to files and sidecars"

STREAM_CONTENDERS = {
    "strep": Kind("strep serve --ws, recording", _RECORDS, "recording:of_frames", "pcm16"),
    "websockets-uvloop": Kind("websockets on uvloop", _DECODES, "ws_plain:WsPlain", "uvloop", ("uvloop",)),
    "websockets": Kind("websockets on asyncio", _DECODES, "ws_plain:WsPlain", "asyncio"),
    "fastapi": Kind("FastAPI, uvicorn", _DECODES, "ws_fastapi:WsFastApi", "", ("fastapi", "uvicorn")),
    "pipecat": Kind(
        "FastAPI, pipecat's serializer", _DECODES, "ws_fastapi:WsPipecat", "", ("fastapi", "uvicorn", "pipecat")
    ),
    "node": Kind("Node ws", _DECODES, "programs:NodeWs", "websocket_ws.js", ("node", "node-ws")),
}
"""By name, in the order of the tables."""

OURS = "strep"


def missing(name: str) -> str:
    """Return how to install what the contender `name` needs and this machine has not; empty if it has everything."""
    return missing_of(STREAM_CONTENDERS[name].needs)


def create(name: str, directory: Path) -> Contender:
    """Return the contender `name`, which may leave files in `directory`."""
    kind = STREAM_CONTENDERS[name]
    module, attribute = kind.place.split(":")
    factory = getattr(import_module(f"benchmarks.contenders.{module}"), attribute)
    return cast("Contender", factory(kind.argument, directory))
