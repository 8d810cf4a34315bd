"""`media.doctor.checks`: each rule, with every level that it says it has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from media.admission.capacity import SPARE_DESCRIPTORS
from media.config import Endpoint, ProcessConfig
from media.doctor.check import Check, Finding, Level, examine, worst
from media.doctor.checks import CHECKS
from media.doctor.demand import Demand
from media.doctor.facts import DirectoryFacts, Facts, UnitFacts
from media.settings import load
from tests.doctor.machines import DEMAND, DIRECTORY, GIB, HEALTHY, MIB, PORT, SERVER

PROBLEM, ADVICE, OK, UNKNOWN = Level.PROBLEM, Level.ADVICE, Level.OK, Level.UNKNOWN
WS = replace(SERVER, ws=Endpoint("0.0.0.0", 9001), public_url="wss://media.example.com")

Case = tuple[str, Level, str, dict[str, Any]]
CASES: list[Case] = [
    # rule, level, part of the machine that is changed, and to what
    ("receive_buffer", PROBLEM, "network", {"granted_bytes": 4 * MIB}),
    ("receive_buffer", ADVICE, "network", {"is_forced": True, "rmem_max_bytes": 4 * MIB}),
    ("receive_buffer", OK, "network", {"is_forced": True, "rmem_max_bytes": 16 * MIB}),
    ("receive_buffer", UNKNOWN, "network", {"granted_bytes": None}),
    ("buffer_length", PROBLEM, "network", {"granted_bytes": MIB // 2}),
    ("buffer_length", ADVICE, "network", {"granted_bytes": 2 * MIB}),
    ("udp_memory", PROBLEM, "network", {"udp_memory_bytes": 31 * MIB}),
    ("udp_memory", OK, "network", {"udp_memory_bytes": 32 * MIB}),
    ("kernel_drops", ADVICE, "network", {"buffer_errors": 1}),
    ("socket_drops", PROBLEM, "network", {"ports": (replace(PORT, drops=1),)}),
    ("backlog_drops", ADVICE, "network", {"backlog_drops": 1}),
    ("connection_tracking", PROBLEM, "network", {"connections": 262_000}),
    ("connection_tracking", ADVICE, "network", {"connections": 240_000}),
    ("connection_tracking", OK, "network", {"connections": None, "most_connections": None}),
    ("ports", PROBLEM, "network", {"ports": (replace(PORT, refusal="EADDRINUSE", holder="named (pid 7)"),)}),
    ("ports", PROBLEM, "network", {"ports": (replace(PORT, refusal="EACCES", port=53),)}),
    ("ports", PROBLEM, "network", {"ports": (replace(PORT, refusal="EADDRNOTAVAIL"),)}),
    ("ports", PROBLEM, "network", {"ports": (replace(PORT, refusal="Name or service not known"),)}),
    ("ports", ADVICE, "network", {"ports": (replace(PORT, refusal="EADDRINUSE", holder="strep serve (pid 7)"),)}),
    ("ephemeral_ports", ADVICE, "network", {"ephemeral": (1024, 65_535)}),
    ("ephemeral_ports", OK, "network", {"ephemeral": (1024, 65_535), "reserved": ((8000, 9000),)}),
    ("open_files", PROBLEM, "machine", {"files_soft": SPARE_DESCRIPTORS, "files_hard": SPARE_DESCRIPTORS}),
    ("open_files", ADVICE, "machine", {"files_hard": 4095}),
    ("open_files", OK, "machine", {"files_hard": None}),
    ("open_files", OK, "machine", {"files_soft": None, "files_hard": None}),
    ("system_files", PROBLEM, "machine", {"system_files": 999_900}),
    ("directories", PROBLEM, "disk", {"directories": (replace(DIRECTORY, is_writable=False),)}),
    ("directories", PROBLEM, "disk", {"directories": (replace(DIRECTORY, is_writable=False, nearest="/"),)}),
    ("privacy", ADVICE, "disk", {"directories": (replace(DIRECTORY, mode=0o755),)}),
    ("privacy", OK, "disk", {"directories": (replace(DIRECTORY, mode=None, nearest="/data"),)}),
    ("umask", PROBLEM, "machine", {"umask": 0o277}),
    ("umask", OK, "machine", {"umask": 0o000}),
    ("disk_space", PROBLEM, "disk", {"free_bytes": GIB}),
    ("disk_space", ADVICE, "disk", {"free_bytes": 100 * GIB}),
    ("disk_files", PROBLEM, "disk", {"free_files": 100}),
    ("disk_files", ADVICE, "disk", {"free_files": 10_000}),
    ("disk_speed", PROBLEM, "disk", {"write_bytes_per_s": 3e6}),
    ("disk_speed", ADVICE, "disk", {"write_bytes_per_s": 10e6}),
    ("disk_speed", UNKNOWN, "disk", {"write_bytes_per_s": None}),
    ("disk_sync", ADVICE, "disk", {"sync_s": 0.6}),
    ("disk_kind", ADVICE, "disk", {"file_system": "tmpfs"}),
    ("disk_kind", ADVICE, "disk", {"file_system": "nfs4"}),
    ("clock", PROBLEM, "clock", {"is_behind": True}),
    ("clock", ADVICE, "clock", {"is_synchronised": False}),
    ("clock", ADVICE, "clock", {"error_s": 16.0}),
    ("clock_steps", ADVICE, "clock", {"step_s": -0.1}),
    ("clock_source", ADVICE, "clock", {"source": "hpet"}),
    ("cores", PROBLEM, "machine", {"quota_cores": 0.5}),
    ("cores", OK, "machine", {"quota_cores": 1.0}),
    ("cpu_quota", PROBLEM, "machine", {"quota_cores": 2.0, "throttled": 3}),
    ("cpu_quota", ADVICE, "machine", {"quota_cores": 2.0, "throttled": 0}),
    ("governor", ADVICE, "machine", {"governor": "powersave"}),
    ("governor", OK, "machine", {"governor": None}),
    ("stolen_time", PROBLEM, "machine", {"stolen": 0.2}),
    ("stolen_time", ADVICE, "machine", {"stolen": 0.05}),
    ("memory", PROBLEM, "machine", {"available_bytes": 200 * MIB}),
    ("memory", PROBLEM, "machine", {"limit_bytes": GIB, "used_bytes": 900 * MIB}),
    ("memory", ADVICE, "machine", {"available_bytes": 300 * MIB}),
    ("numpy_threads", ADVICE, "machine", {"threads": ("OMP_NUM_THREADS=8",)}),
    ("receiver", ADVICE, "software", {"has_recvmmsg": False}),
    ("event_loop", ADVICE, "software", {"modules": frozenset({"av"})}),
    ("user", ADVICE, "machine", {"user": 0}),
    ("socket_unit", PROBLEM, "software", {"unit": UnitFacts("u", ("0.0.0.0:9999",))}),
    ("socket_unit", ADVICE, "software", {"unit": UnitFacts("u", ("0.0.0.0:9000",), (), 212_992)}),
    ("socket_unit", OK, "software", {"unit": None}),
]

TOLD: list[tuple[str, Level, Demand, str, dict[str, Any]]] = [
    # rule, level, what the server is to do, and what of the machine is changed
    ("buffer_length", PROBLEM, replace(DEMAND, calls=5000), "network", {}),
    ("buffer_length", OK, replace(DEMAND, calls=400), "network", {}),
    ("buffer_length", ADVICE, Demand(SERVER, ProcessConfig(hand_over=DEMAND.server.record), 400), "network", {}),
    ("udp_memory", ADVICE, replace(DEMAND, workers=100), "network", {}),
    ("cores", ADVICE, replace(DEMAND, workers=5), "machine", {}),
    ("reachable", ADVICE, Demand(replace(SERVER, udp=Endpoint("127.0.0.1", 9000))), "network", {}),
    ("reachable", ADVICE, Demand(replace(WS, public_url="")), "network", {}),
    ("reachable", OK, Demand(WS), "network", {}),
    ("ipv6", PROBLEM, Demand(replace(SERVER, udp=Endpoint("::", 9000))), "network", {"has_ipv6": False}),
    ("ipv6", ADVICE, Demand(replace(SERVER, udp=Endpoint("::", 9000))), "network", {"is_ipv6_only": True}),
    ("ipv6", OK, Demand(replace(SERVER, udp=Endpoint("::1", 9000))), "network", {"is_ipv6_only": True}),
    ("extras", PROBLEM, Demand(replace(SERVER, http=Endpoint("::1", 9080))), "software", {"modules": frozenset()}),
    ("extras", PROBLEM, Demand(replace(SERVER, playback_codec="opus")), "software", {"modules": frozenset()}),
    ("extras", PROBLEM, Demand(replace(SERVER, deliver_to="s3://calls")), "software", {"modules": frozenset()}),
    ("extras", PROBLEM, Demand(replace(SERVER, transcribe="vosk:model=/m")), "software", {"modules": frozenset()}),
    ("extras", OK, DEMAND, "software", {"modules": frozenset()}),
    ("programs", ADVICE, Demand(replace(SERVER, app="parrot")), "software", {"programs": frozenset()}),
    ("programs", OK, DEMAND, "software", {"programs": frozenset()}),
    ("options", PROBLEM, Demand(replace(SERVER, max_calls=99)), "machine", {}),
    ("options", PROBLEM, Demand(replace(SERVER, max_tracks=199)), "machine", {}),
    ("options", PROBLEM, Demand(replace(WS, ws_max_connections=99)), "machine", {}),
    ("disk_speed", OK, Demand(replace(SERVER, record=None)), "disk", {"write_bytes_per_s": 1.0}),
    ("disk_speed", OK, Demand(replace(SERVER, record_format="passthrough")), "disk", {"write_bytes_per_s": 6.4e6}),
    ("memory", ADVICE, Demand(replace(SERVER, look_back_s=300.0)), "machine", {"available_bytes": GIB}),
    ("receiver", ADVICE, Demand(replace(SERVER, receiver="asyncio-dgram")), "software", {}),
]


def changed(part: str, changes: dict[str, Any]) -> Facts:
    return replace(HEALTHY, **{part: replace(getattr(HEALTHY, part), **changes)})


def findings(name: str, facts: Facts, demand: Demand = DEMAND) -> list[Finding]:
    return list(examine(facts, demand, [check for check in CHECKS if check.name == name]))


def all_cases() -> Iterator[tuple[str, Level, Facts, Demand]]:
    yield from ((name, level, changed(part, changes), DEMAND) for name, level, part, changes in CASES)
    yield from ((name, level, changed(part, changes), demand) for name, level, demand, part, changes in TOLD)


def levels_of(check: Check) -> set[Level]:
    """Return the levels that a rule says it has."""
    return {Level(word) for word in re.findall(r"(problem|advice):", check.bad)}


def test_a_healthy_machine_needs_nothing() -> None:
    found = list(examine(HEALTHY, DEMAND, CHECKS))
    assert {finding.level for finding in found} == {OK}
    assert not any(finding.remedy for finding in found)
    assert {finding.name for finding in found} == {check.name for check in CHECKS}, "a rule says nothing"
    assert worst(found) is OK


@pytest.mark.parametrize(("name", "level", "facts", "demand"), list(all_cases()))
def test_rule(name: str, level: Level, facts: Facts, demand: Demand) -> None:
    found = findings(name, facts, demand)
    assert worst(found) is level or {finding.level for finding in found} == {level}
    for finding in found:
        assert bool(finding.remedy) == (finding.level in (ADVICE, PROBLEM))
        assert finding.found


def test_every_level_of_every_rule_is_tested() -> None:
    seen: dict[str, set[Level]] = {}
    for name, level, _, _ in all_cases():
        seen.setdefault(name, set()).add(level)
    assert {check.name: levels_of(check) for check in CHECKS} == {
        check.name: seen.get(check.name, set()) & {ADVICE, PROBLEM} for check in CHECKS
    }


def test_no_rule_stumbles_over_what_cannot_be_read() -> None:
    nothing = Facts(*(type(getattr(HEALTHY, part))() for part in Facts.__dataclass_fields__))
    assert worst(examine(nothing, DEMAND, CHECKS)) in (OK, ADVICE)


@pytest.mark.parametrize(("name", "level", "facts", "demand"), list(all_cases()))
def test_options_that_a_remedy_names_exist(name: str, level: Level, facts: Facts, demand: Demand) -> None:
    """Those with a value are tried: they are taken as they are printed."""
    for finding in findings(name, facts, demand):
        for flag, value in re.findall(r"(--(?:receive-buffer|workers|max-[a-z-]+|udp)) ([\w.:]+)", finding.remedy):
            if value.isupper():
                continue
            settings = load({"udp": ":0", flag.removeprefix("--").replace("-", "_"): value}, {})
            assert settings.warnings == ()


def test_a_remedy_helps() -> None:
    """What the rules of the buffer say, done, is enough."""
    demand = replace(DEMAND, calls=5000)
    [finding] = findings("buffer_length", HEALTHY, demand)
    [mib] = re.findall(r"--receive-buffer (\d+)MiB", finding.remedy)
    [after] = findings("buffer_length", changed("network", {"granted_bytes": int(mib) * MIB}), demand)
    assert after.level is OK


def told_of(name: str, *directories: DirectoryFacts) -> list[str]:
    return [finding.remedy for finding in findings(name, changed("disk", {"directories": directories}))]


class TestDirectories:
    """A remedy makes a directory of one's own; what is there, and others', it leaves alone."""

    def test_what_is_not_there_is_made_where_it_is_to_be(self) -> None:
        there = DirectoryFacts("record", "/var/lib/strep/my calls", "/var/lib", is_writable=False)
        assert told_of("directories", there) == ["install -d -m 700 -o $USER '/var/lib/strep/my calls'"]

    def test_what_is_there_stays_as_it_is(self) -> None:
        there = DirectoryFacts("takes", "/var/lib", "/var/lib", is_writable=False, mode=0o755)
        made = "install -d -m 700 -o $USER /var/lib/strep, and --takes /var/lib/strep"
        assert told_of("directories", there) == told_of("privacy", there) == [made]

    def test_only_ones_own_is_closed(self) -> None:
        own = DirectoryFacts("record", "/home/me/calls", "/home/me/calls", is_writable=True, mode=0o755, is_own=True)
        assert told_of("privacy", own) == ["chmod 700 /home/me/calls"]

    def test_of_a_file(self) -> None:
        there = DirectoryFacts("cdr", "/srv", "/srv", is_writable=False, mode=0o777)
        assert told_of("privacy", there) == []
        [remedy] = told_of("directories", there)
        assert remedy.endswith("--cdr /srv/strep/calls.jsonl")


def test_reserved_ports_stay_reserved() -> None:
    facts = changed("network", {"ephemeral": (1024, 60_999), "reserved": ((8080, 8080), (30_000, 32_767))})
    [finding] = findings("ephemeral_ports", facts)
    assert finding.remedy.startswith("sysctl -w net.ipv4.ip_local_reserved_ports=8080,30000-32767,9000")


def test_no_limit_is_no_remedy_of_a_slow_disk() -> None:
    [finding] = findings("disk_speed", changed("disk", {"write_bytes_per_s": 1.0}))
    assert "--max-calls 1," in finding.remedy


def test_call_records_and_traces_need_their_packages() -> None:
    demand = Demand(replace(SERVER, cdr_database="postgresql+psycopg://a@b/c", otlp="http://127.0.0.1:4318"))
    found = findings("extras", changed("software", {"modules": frozenset()}), demand)
    assert [one.subject.split(" ")[0] for one in found if one.level is PROBLEM] == ["cdr", "cdr", "otel"]
