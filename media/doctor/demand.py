"""`Demand`: what a server needs of a machine, for so many calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from media.admission.capacity import SPARE_DESCRIPTORS
from media.cdr.file import RecordFile
from media.config import Endpoint, ProcessConfig, ServerConfig
from media.handover.room import PACKETS_PER_CALL, USUAL_CALLS

CALL_BYTES = 96 << 10
"""Memory of a call that is recorded: the bound of `strep bench memory`."""
PROCESS_BYTES = 192 << 20
"""Memory of a process without calls, with room to spare: `strep bench floods` has seen 184 MiB with 200."""
LOOK_BACK_BYTES_PER_S = 16_000
DAY_S = 86_400
_HZ, _CHANNELS = 8000, 2


@dataclass(frozen=True, slots=True)
class Demand:
    """What was configured, and for how many calls.

    Attributes:
        server, processes: the configuration.
        calls: at once.
        workers: processes that share them.
    """

    server: ServerConfig
    processes: ProcessConfig = field(default_factory=ProcessConfig)
    calls: int = USUAL_CALLS
    workers: int = 1

    @property
    def packets_per_s(self) -> float:
        """What one process gets."""
        return self.calls * PACKETS_PER_CALL / self.workers

    @property
    def files(self) -> int:
        """Descriptors of one process: a recording and a media stream each hold one."""
        each = bool(self.server.record) + bool(self.server.ws)
        return SPARE_DESCRIPTORS + -(-self.calls // self.workers) * max(each, 1)

    @property
    def recorded_bytes_per_s(self) -> int:
        """What all recordings grow by, of calls at 8 kHz."""
        width = 1 if self.server.record_format == "passthrough" else 2
        return self.calls * _HZ * _CHANNELS * width if self.server.record else 0

    @property
    def memory_bytes(self) -> int:
        """What all processes take; engines of transcription and applications come on top."""
        look_back = int(self.server.look_back_s * LOOK_BACK_BYTES_PER_S)
        return self.workers * PROCESS_BYTES + self.calls * (CALL_BYTES + look_back)

    @property
    def udp_sockets(self) -> int:
        """Sockets with a receive buffer of their own."""
        return (self.workers if self.server.udp else 0) + 2 * len(self.server.rtp)

    def doors(self) -> list[tuple[str, str, Endpoint]]:
        """Return name, "udp" or "tcp", and address of everything that is listened on."""
        config = self.server
        doors = [("udp", "udp", config.udp), ("ws", "tcp", config.ws), ("http", "tcp", config.http)]
        doors.append(("metrics", "tcp", self.processes.metrics))
        for pair in config.rtp:
            doors += [(f"rx of rtp {pair.name}", "udp", pair.rx), (f"tx of rtp {pair.name}", "udp", pair.tx)]
        return [(name, kind, endpoint) for name, kind, endpoint in doors if endpoint is not None]

    def call_records(self, wall_ns: int) -> Path | None:
        """Return the file of call records of the day."""
        cdr = self.server.cdr
        return None if cdr is None else RecordFile(cdr).path_at(wall_ns)

    def directories(self) -> list[tuple[str, Path]]:
        """Return option and path of every directory that is written to."""
        config = self.server
        named = {
            "record": config.record,
            "takes": config.takes,
            "state": config.state,
            "webhook_spool": config.webhook_spool,
            "nats_spool": config.nats.spool,
            "cdr": None if config.cdr is None else config.cdr.parent,
        }
        return [(option, path) for option, path in named.items() if path is not None]
