"""A machine on which all is well, for 100 calls on the doors of `DEMAND`."""

from __future__ import annotations

from pathlib import Path

from media.config import Endpoint, ServerConfig
from media.doctor.demand import Demand
from media.doctor.facts import (
    ClockFacts,
    DirectoryFacts,
    DiskFacts,
    Facts,
    MachineFacts,
    NetworkFacts,
    PortFacts,
    SoftwareFacts,
    UnitFacts,
)
from media.doctor.software import EXTRAS, PROGRAMS

MIB, GIB = 1 << 20, 1 << 30
UDP = Endpoint("0.0.0.0", 9000)
SERVER = ServerConfig(udp=UDP, record=Path("/data/recordings"))
DEMAND = Demand(SERVER)
PORT = PortFacts("udp", "udp", "0.0.0.0", 9000)
DIRECTORY = DirectoryFacts("record", "/data/recordings", "/data/recordings", True, 0o700)
UNIT = UnitFacts("/etc/systemd/system/strep.socket", ("0.0.0.0:9000",), (), 16 * MIB)

NETWORK = NetworkFacts(
    16 * MIB, False, 16 * MIB, 2 * GIB, 1000, 0, 0, 1000, 10, 262_144, (32_768, 60_999), (), True, False, (PORT,)
)
CLOCK = ClockFacts(True, 0.01, 0.0, "tsc", False)
DISK = DiskFacts("ext4", 1000 * GIB, 10_000_000, 500e6, 0.01, (DIRECTORY,))
MACHINE = MachineFacts(
    4, None, None, "performance", 0.0, 16 * GIB, None, 0, 1024, 65_536, 1000, 1_000_000, 1000, 0o022, ()
)
SOFTWARE = SoftwareFacts(
    frozenset(module for extra in EXTRAS for module in extra.modules), frozenset(PROGRAMS), True, UNIT
)
HEALTHY = Facts(NETWORK, CLOCK, DISK, MACHINE, SOFTWARE)
