"""Our server under observation: what `benchmarks.contenders.recording` is, and questions may be put to it.

The latency probe costs a little (a sink more, and a few microseconds per batch), so what a packet costs is measured
without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from benchmarks.kernel import RECEIVE_BUFFER_BYTES
from benchmarks.own import OwnServer
from benchmarks.probe import Probe, Tap, save
from benchmarks.receiver import ObservedOptions
from media.config import Endpoint, ServerConfig
from media.nats.config import NatsConfig


class Observed(OwnServer):
    """A recording server that says how it is."""

    def __init__(self, argument: str, directory: Path) -> None:
        """Record into `directory`; `argument` is `ObservedOptions` in JSON."""
        options = msgspec.json.decode(argument, type=ObservedOptions)
        config = ServerConfig(
            udp=Endpoint("127.0.0.1", 0),
            record=directory,
            receive_buffer_bytes=RECEIVE_BUFFER_BYTES,
            idle_timeout_s=options.idle_timeout_s,
            nats=NatsConfig((options.nats,) if options.nats else ()),
        )
        self._directory = directory
        self._probe, self._tap = Probe(), Tap(max(options.probe_one_in, 1))
        self._is_probing = options.probe_one_in > 0
        if self._is_probing:
            super().__init__(config, [self._probe], lambda server: self._tap.listen(server.doors.strep))
        else:
            super().__init__(config)

    def evidence(self) -> dict[str, Any]:
        """Return the server's last totals, and where the ages of blocks are."""
        totals = self.status()
        if self._is_probing:
            path = self._directory / "ages.npy"
            save(self._probe, self._tap, path)
            totals["ages"] = str(path)
        return totals
