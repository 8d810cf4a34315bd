"""The service: doors, engine, sinks and the simulated carrier around the wire of `strep`.

The names to start from::

    from media import PerCall, Server, ServerConfig
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from media.config import ServerConfig
    from media.server import Server
    from media.sinks.contract import CallInfo, CallReport, Sink, SinkOptions
    from media.sinks.per_call import PerCall
    from media.sinks.recording import RecordingSink

_HOME = {
    "CallInfo": "media.sinks.contract",
    "CallReport": "media.sinks.contract",
    "PerCall": "media.sinks.per_call",
    "RecordingSink": "media.sinks.recording",
    "Server": "media.server",
    "ServerConfig": "media.config",
    "Sink": "media.sinks.contract",
    "SinkOptions": "media.sinks.contract",
}

__all__ = [
    "CallInfo",
    "CallReport",
    "PerCall",
    "RecordingSink",
    "Server",
    "ServerConfig",
    "Sink",
    "SinkOptions",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``strep --help`` does not load a server."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
