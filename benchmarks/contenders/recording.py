"""Ours: what does a packet cost from the kernel, or a media frame from its socket, to a finished recording?

`media.server.Server` as ``strep serve --udp 127.0.0.1:0 --record DIRECTORY`` (or ``--ws``) makes it, on uvloop where
that is installed: drain, parse, demultiplex, RFC 3550 statistics, timeline, blocks, the sink's queue and thread,
decoding, a stereo WAV file and a sidecar per call.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.kernel import RECEIVE_BUFFER_BYTES
from benchmarks.own import OwnServer
from media.config import Endpoint, ServerConfig

_ANYWHERE = Endpoint("127.0.0.1", 0)


def of_packets(record_format: Any, directory: Path) -> OwnServer:
    """Return a server that records STREP into `directory`."""
    return OwnServer(
        ServerConfig(
            udp=_ANYWHERE,
            record=directory,
            record_format=record_format,
            receive_buffer_bytes=RECEIVE_BUFFER_BYTES,
        )
    )


def of_frames(record_format: Any, directory: Path) -> OwnServer:
    """Return a server that records media streams into `directory`."""
    return OwnServer(ServerConfig(ws=_ANYWHERE, record=directory, record_format=record_format))
