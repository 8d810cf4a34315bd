"""Every alarm of the table is raised by what it is about, by nothing else, and is cleared again."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from media import Server, ServerConfig
from media.alarms.board import AlarmBoard, Snapshot
from media.alarms.reconciliation import reconcile
from media.alarms.rules import RULES
from media.alarms.watch import report_of
from media.config import Endpoint
from media.metrics.totals import Totals
from media.sinks.finisher import Finisher
from media.sinks.takes.sink import TakesSink
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock

SECONDS = 10
NOBODY = Finisher(lambda call, event: None)


def sink(name: str, **details: Any) -> Snapshot:
    counters = dict.fromkeys(("queued_items", "lag_ns", "dropped_blocks", "dropped_calls", "errors", "restarts"), 0)
    return {"name": name, **counters, "hung": False, "detached": False, "details": details}


def healthy() -> Snapshot:
    """Return what a server of everything says of itself when all is well."""
    recording = sink("recording", started=7, ended=5, failed=1, sidecar_errors=0)
    delivery = {"oldest_ns": 60 * NS_PER_SECOND, "failed": 3, "not_taken": 0, "process_restarts": 1}
    webhooks = {"oldest_ns": 0, "given_up": 1, "refused": 0, "dropped": 0, "overflowed": 0}
    nats = {"connected": True, "oldest_ms": 5, "dropped": 1, "lost": 0, "restarts": 2}
    engine = {"hung": 1, "died": 1, "refused": 0}
    return {
        "calls": 2,
        "calls_started": 7,
        "calls_ended": 5,
        "conservation_errors": 0,
        "kernel_drops": 40,
        "receive_errors": 0,
        "failed_beats": 0,
        "loop_lag": {"usual_ns": 2 * NS_PER_MS, "longest_ns": 5 * NS_PER_MS},
        "sinks": [recording, sink("mine"), sink("transcription", engines={"vosk": engine})],
        "companions": {
            "finisher": {"gone": 0},
            "sync": {"errors": 2},
            "delivery": delivery,
            "delivery of takes": dict(delivery),
            "webhooks": webhooks,
            "nats": nats,
            "cdr": {"waiting": 0, "file": {"oldest_ns": 0, "dropped": 1, "refused": 0}},
        },
        "capacity": {"shortage": "", "min_free_bytes": 0, "free_bytes": 1 << 40, "free_descriptors": 60_000},
    }


TROUBLE: dict[str, tuple[str, Any]] = {
    # What happens, by path, and as a value or as growth a second.
    "kernel_drops": ("kernel_drops", "+1"),
    "reception_failures": ("failed_beats", "+1"),
    "loop_lag": ("loop_lag.usual_ns", 200 * NS_PER_MS),
    "recording_lag": ("sinks.0.lag_ns", 11 * NS_PER_SECOND),
    "recording_dropped": ("sinks.0.dropped_blocks", "+1"),
    "sink_lag": ("sinks.1.lag_ns", 4 * NS_PER_SECOND),
    "sink_dropped": ("sinks.1.dropped_calls", "+1"),
    "sink_failing": ("sinks.1.hung", True),
    "sink_detached": ("sinks.1.detached", True),
    "calls_unaccounted": ("calls", 1),
    "recordings_missing": ("sinks.0.details.ended", 4),
    "recordings_failed": ("sinks.0.details.failed", "+1"),
    "sync_failed": ("companions.sync.errors", "+1"),
    "conservation": ("conservation_errors", "+1"),
    "disk_space": ("capacity.free_bytes", 400 << 20),
    "descriptors": ("capacity.free_descriptors", 300),
    "refusing_calls": ("capacity.shortage", "too many calls"),
    "deliveries_late": ("companions.delivery.oldest_ns", 1000 * NS_PER_SECOND),
    "deliveries_failed": ("companions.delivery of takes.failed", "+1"),
    "webhooks_late": ("companions.webhooks.oldest_ns", 301 * NS_PER_SECOND),
    "webhooks_lost": ("companions.webhooks.refused", "+1"),
    "cdr_late": ("companions.cdr.file.oldest_ns", 61 * NS_PER_SECOND),
    "cdr_lost": ("companions.cdr.file.dropped", "+1"),
    "nats_away": ("companions.nats.connected", False),
    "nats_late": ("companions.nats.oldest_ms", 31_000),
    "nats_lost": ("companions.nats.dropped_events", "+1"),
    "child_processes": ("sinks.2.details.engines.vosk.died", "+1"),
    "worker_down": ("workers_down", [3]),
}


def put(snapshot: Snapshot, path: str, value: Any, second: int) -> None:
    place: Any = snapshot
    *way, last = path.split(".")
    for name in way:
        place = place[int(name)] if name.isdigit() else place[name]
    place[last] = place.get(last, 0) + second if value == "+1" else value


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_is_raised_by_its_trouble_alone_and_cleared(rule: Any) -> None:
    path, value = TROUBLE[rule.name]
    board, well = AlarmBoard(RULES), healthy()
    for second in range(30):
        assert board.look(deepcopy(well), second) == []
    for second in range(SECONDS):
        put(ill := healthy(), path, value, second + 1)
        board.look(ill, second)
    [alarm] = report_of(board.snapshot(SECONDS), NS_PER_SECOND)["alarms"]
    assert (alarm["name"], alarm["meaning"], alarm["remedy"]) == (rule.name, rule.meaning, rule.remedy)
    assert alarm["detail"]
    assert alarm["since"].startswith("1970-01-01T00:00:0")
    after = healthy() if value != "+1" else ill
    for _ in range(rule.clear_after - 1):
        board.look(deepcopy(after), 0)
    assert report_of(board.snapshot(0), 0)["status"] == rule.severity
    board.look(deepcopy(after), 0)
    board.look(deepcopy(after), 0)
    assert report_of(board.snapshot(0), 0)["status"] == "ok"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("nats_lost", "companions.nats.events.dropped"),
        ("nats_lost", "companions.nats.events.failed"),
        ("recordings_failed", "sinks.3.details.sidecar_errors"),
    ],
)
def test_losses_of_their_parts_count_as_well(name: str, path: str) -> None:
    def snapshot(second: int) -> Snapshot:
        made = healthy()
        made["companions"]["nats"]["events"] = {"dropped": 0, "failed": 0}
        made["sinks"].append(sink("takes", **dict.fromkeys(TakesSink(Path(), NOBODY, ManualClock()).snapshot(), 0)))
        put(made, path, "+1", second)
        return made

    board = AlarmBoard(RULES)
    for second in range(SECONDS):
        board.look(snapshot(second), second)
    assert [alarm["name"] for alarm in report_of(board.snapshot(SECONDS), NS_PER_SECOND)["alarms"]] == [name]


def test_a_server_just_made_has_nothing_to_complain_of() -> None:
    """And whatever it has, or has not, can be measured."""
    server = Server(ServerConfig(udp=Endpoint("127.0.0.1", 0)))
    for _ in range(60):
        server.alarms.look()
    report = server.alarms.report()
    assert (report["status"], report["alarms"]) == ("ok", [])


class TestMissing:
    """What is not there stays so: it is an alarm when it is news."""

    @staticmethod
    def states(board: AlarmBoard, *missing: int | None) -> list[bool]:
        """Look; None: the recorder is at work, and what it has not ended yet is not missing."""
        states = []
        for count in missing:
            snapshot = healthy()
            snapshot["companions"]["finisher"]["gone"] = count or 0
            if count is None:
                snapshot["sinks"][0] |= {"queued_items": 3}
                snapshot["sinks"][0]["details"]["ended"] = 2
            board.look(snapshot, 0)
            states.append(report_of(board.snapshot(0), 0)["status"] == "critical")
        return states

    def test_a_recorder_that_is_hardly_ever_idle(self) -> None:
        board = AlarmBoard(RULES)
        assert self.states(board, *[1, None, None] * 9 + [1]) == [False] * 27 + [True]

    def test_it_is_over_though_nothing_came_back_and_raised_by_one_more(self) -> None:
        board = AlarmBoard(RULES)
        assert self.states(board, *[1] * 10) == [False] * 9 + [True]
        assert self.states(board, *[1] * 60) == [True] * 59 + [False]
        assert not any(self.states(board, *[1] * 60))
        assert self.states(board, *[2] * 10) == [False] * 9 + [True]

    def test_what_came_while_it_was_raised_is_part_of_it(self) -> None:
        board = AlarmBoard(RULES)
        self.states(board, *[1] * 10)
        assert all(self.states(board, *[1] * 50, *[2] * 60))
        assert self.states(board, 2, 2) == [False, False]


def test_a_sink_that_says_odd_things_of_itself_costs_no_alarm() -> None:
    board, odd = AlarmBoard(RULES), healthy()
    odd["sinks"][1]["details"] = {"engines": 3, "failed": None, "ended": []}
    board.look(deepcopy(odd), 0)
    odd["kernel_drops"] += 1
    assert [alarm.rule.name for alarm in board.look(odd, 1)] == ["kernel_drops"]


def test_an_alarm_that_cannot_be_measured_costs_no_other(caplog: pytest.LogCaptureFixture) -> None:
    board, odd = AlarmBoard(RULES), healthy()
    odd["loop_lag"] = "late"
    board.look(deepcopy(odd), 0)
    odd["kernel_drops"] += 1
    assert [alarm.rule.name for alarm in board.look(odd, 1)] == ["kernel_drops"]
    assert [record.getMessage() for record in caplog.records] == ["alarm loop_lag cannot be measured"]


class TestReconciliation:
    def test_the_books_of_a_server_that_is_well(self) -> None:
        books = reconcile(healthy())
        assert (books.calls, books.unaccounted, books.finished, books.failed, books.missing) == (7, 0, 4, 1, 0)

    def test_a_call_of_which_the_recorder_never_heard(self) -> None:
        snapshot = healthy()
        snapshot["calls_started"] += 1
        snapshot["calls_ended"] += 1
        snapshot["sinks"][0]["queued_items"] = 1
        assert (reconcile(snapshot).missing, reconcile(snapshot).is_settled) == (1, False)
        snapshot["sinks"][0]["queued_items"] = 0
        assert reconcile(snapshot).is_settled

    def test_a_file_that_was_gone(self) -> None:
        snapshot = healthy()
        snapshot["companions"]["finisher"]["gone"] = 2
        assert (reconcile(snapshot).missing, reconcile(snapshot).finished) == (2, 2)

    def test_nothing_is_recorded(self) -> None:
        snapshot = healthy()
        snapshot["sinks"] = []
        assert (reconcile(snapshot).finished, reconcile(snapshot).missing) == (None, 0)


def test_workers_have_an_alarm_if_any_has() -> None:
    well, ill, worse = (AlarmBoard(RULES) for _ in range(3))
    for board, drops in ((well, 0), (ill, 1), (worse, 2)):
        board.look(healthy(), 0)
        board.look(healthy() | {"kernel_drops": 40 + drops}, drops * NS_PER_SECOND)
    totals = Totals(3)
    for index, board in enumerate((ill, worse, well)):
        totals.report(index, {"alarms": board.snapshot(5 * NS_PER_SECOND)})
    assert (
        report_of(totals.snapshot()["alarms"], 10 * NS_PER_SECOND)["alarms"][0].items()
        >= {
            "name": "kernel_drops",
            "since": "1970-01-01T00:00:06.000000Z",
        }.items()
    )
    totals.bury(0)
    totals.bury(1)
    assert report_of(totals.snapshot()["alarms"], 0) == {"status": "ok", "alarms": []}
