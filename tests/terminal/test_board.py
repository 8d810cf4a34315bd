"""`Board` and `Sweep`: what is known of calls, from pages and events in any order; and what is drawn of it."""

from __future__ import annotations

import random
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from media.terminal.board import ENDED_SHOWN_S, NEWEST_CALLS, PAGE_CALLS, SORTS, Board, Sweep
from media.terminal.lines import event_line
from media.terminal.screen import screen
from tests.terminal.fake import call_of


def track(expected: int, lost: int, jitter_ms: float = 1.0, **more: Any) -> dict[str, Any]:
    return {
        "direction": "inbound", "length_samples": 160 * expected, "received": expected - lost, "late": 0,
        "expected": expected, "never_arrived": lost, "jitter_ms": jitter_ms,
    } | more  # fmt: skip


def happened(kind: str, call_id: str, **more: Any) -> dict[str, Any]:
    return {"event": kind, "call_id": call_id, "occurred_at": "2026-01-01T00:00:09.500Z", **more}


def filled(count: int, **board: Any) -> Board:
    """Return a board of calls of which the first has lost most."""
    found = Board(**board)
    calls = [
        call_of(f"call-{number:04}", number % 60, tracks=[track(1000, max(50 - number, 0))])
        for number in range(count)
    ]
    found.take_page(count, calls, is_last=True)
    return found


def drawn(board: Board, sort: str = "worst", width: int = 100, height: int = 30, now_s: float = 5.0) -> list[str]:
    """Return the lines of a screen."""
    console = Console(file=StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    console.print(screen(board, "h:1", sort, (width, height), now_s, 0.0))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


class TestSweep:
    @pytest.mark.parametrize("total", [0, 1, PAGE_CALLS, PAGE_CALLS + 1, 2000])
    def test_all_calls_are_asked_for_and_the_newest_each_time(self, total: int) -> None:
        sweep = Sweep()
        sweep.pages()
        sweep.saw(total)
        while True:  # to where one begins
            asked, rounds, is_last = set[int](), 0, False
            while not is_last:
                pages = sweep.pages()
                assert sum(limit for _, limit, _ in pages) <= PAGE_CALLS + NEWEST_CALLS
                seen = {at for offset, limit, _ in pages for at in range(offset, min(offset + limit, total))}
                assert seen >= set(range(max(total - NEWEST_CALLS, 0), total)) or total - 1 in seen
                asked |= seen
                is_last = pages[-1][2]
                rounds += 1
            if rounds == max(-(-total // PAGE_CALLS), 1):
                break
        assert asked == set(range(total))


class TestBoard:
    @pytest.mark.parametrize("seed", range(20))
    def test_it_has_the_calls_that_are_live(self, seed: int) -> None:
        """Against a model: calls come and go while they are swept, and some events are missing."""
        dice, live, board, sweep, number = random.Random(seed), list[str](), Board(), Sweep(), 0
        for second in range(60):
            for _ in range(dice.randrange(60)):
                live.append(f"{number}")
                number += 1
                if dice.random() < 0.8:
                    board.take_event(happened("call_started", live[-1], door="ws"), second)
            for _ in range(min(dice.randrange(40), len(live))):
                gone = live.pop(dice.randrange(len(live)))
                if dice.random() < 0.8:
                    board.take_event(happened("call_ended", gone), second)
            for offset, limit, is_last in sweep.pages():
                page = live[offset : offset + limit]
                board.take_page(len(live), [call_of(name, int(name)) for name in page], is_last=is_last)
                sweep.saw(len(live))
        begun = board.sweeps
        while board.sweeps < begun + 4:
            for offset, limit, is_last in sweep.pages():
                page = live[offset : offset + limit]
                board.take_page(len(live), [call_of(name, int(name)) for name in page], is_last=is_last)
        board.rows("newest", 1, 60 + 2 * ENDED_SHOWN_S)
        assert board.calls.keys() == set(live)
        assert board.total == len(live)

    def test_one_that_ended_stays_for_a_moment(self) -> None:
        board = filled(2)
        board.take_event(happened("call_ended", "call-0000", reason="stop"), 10.0)
        assert [row.call_id for row in board.rows("worst", 9, 10.0)] == ["call-0001", "call-0000"]
        assert board.rows("newest", 9, 10.0)[-1].happened == "call_ended stop"
        assert len(board.rows("worst", 9, 10.1 + ENDED_SHOWN_S)) == 1

    def test_only_what_is_wanted(self) -> None:
        board = Board("a*", frozenset({"dtmf"}))
        for kind, call_id in (("call_started", "a1"), ("dtmf", "a1"), ("dtmf", "b1")):
            board.take_event(happened(kind, call_id), 0.0)
        assert set(board.calls) == {"a1"}
        assert [(event["event"], event["call_id"]) for event in board.recent] == [("dtmf", "a1"), ("dtmf", "b1")]

    def test_a_server_that_begins_anew_has_other_calls(self) -> None:
        board = filled(3)
        board.lose("it stopped", 10.0, 0.5)
        board.lose("refused", 10.5, 1.0)
        board.find_again(12.0)
        assert (board.calls, board.total, board.trouble) == ({}, 0, "")
        assert "after 2 s" in board.notice

    @pytest.mark.parametrize("sort", SORTS)
    def test_sorting(self, sort: str) -> None:
        board = Board()
        board.take_page(3, [
            call_of("lossy", 1, tracks=[track(1000, 100)]),
            call_of("shaky", 2, tracks=[track(1000, 0, 40.0, quality={"mos": 2.0})]),
            call_of("new", 3, tracks=[track(10, 1)]),
        ], is_last=True)  # fmt: skip
        first = {"worst": "lossy", "newest": "new", "longest": "shaky", "jitter": "shaky", "quality": "shaky"}
        assert board.rows(sort, 1, 0.0)[0].call_id == first[sort]


class TestScreen:
    @pytest.mark.parametrize("count", [0, 10, 2000])
    @pytest.mark.parametrize("size", [(80, 24), (200, 50), (40, 10), (20, 5)])
    def test_it_fits(self, count: int, size: tuple[int, int]) -> None:
        board = filled(count)
        board.take_alarms({"alarms": [{"severity": "critical", "name": str(number)} for number in range(9)]})
        for number in range(50):
            board.take_event(happened("dtmf", "call-0001", digit=str(number % 10)), 0.0)
        lines = drawn(board, width=size[0], height=size[1])
        assert all(len(line) <= size[0] for line in lines)
        assert len(lines) <= max(size[1], 15)

    def test_ten_are_all_there_and_of_two_thousand_those_that_matter(self) -> None:
        assert sum("call-00" in line for line in drawn(filled(10))) == 10
        lines = drawn(filled(2000))
        shown = [line.split()[0] for line in lines if line.startswith("call-")]
        assert shown == [f"call-{number:04}" for number in range(len(shown))]
        assert len(shown) >= 15
        assert f"{2000 - len(shown):,} more calls, sorted by worst" in "\n".join(lines)
        assert "2,000 calls" in lines[0]

    def test_figures(self) -> None:
        board = filled(1)
        board.take_event(happened("dtmf", "call-0000", digit="5", track="inbound", position_ms=1230), 0.0)
        [row] = [line.split() for line in drawn(board, width=130) if line.startswith("call-")]
        assert row[:9] == ["call-0000", "ws", "0:20", "950", "50", "5.00", "%", "0", "1.0"]
        assert row[9:] == ["ms", "dtmf", "5,", "at", "1.23", "s,", "inbound"]

    @pytest.mark.parametrize("width", [80, 112, 140])
    def test_levels_and_mos_where_the_server_tells(self, width: int) -> None:
        """Nothing of them is cut, and there is room for the last event."""
        board = Board()
        quality = {"mos": 4.1, "audio": {"level_dbfs": -30.0}}
        tracks = [track(1000, 100, quality=quality, direction=name) for name in ("inbound", "outbound")]
        board.take_page(1, [call_of("a", tracks=tracks)], is_last=True)
        board.take_event(happened("dtmf", "a", digit="5"), 0.0)
        _, head, _, row, *_ = drawn(board, width=width)
        assert head.split()[-5:] == ["MOS", "in", "out", "last", "event"]
        bar = "███" if width > 80 else "█▌"
        assert row.split()[-5:] == ["4.10", bar, bar, "dtmf", "5"]

    def test_trouble(self) -> None:
        board = filled(1)
        board.lose("cannot reach h:1", 4.0, 2.0)
        assert drawn(board)[0] == "no connection: cannot reach h:1; trying again in 1 s"

    def test_nothing_of_a_caller_reaches_the_terminal_as_a_command(self) -> None:
        evil = "\x1b]0;x\x07\x9b2J\r\n\u202e[bold]"
        board = Board()
        board.take_page(1, [call_of(evil, door=evil)], is_last=True)
        board.take_event(happened(evil, evil, text=evil), 0.0)
        board.take_alarms({"alarms": [{"severity": evil, "name": evil, "detail": evil}]})
        board.lose(evil, 0.0, 1.0)
        text = "".join(line + "\n" for line in drawn(board, width=200))
        assert "[bold]" in text
        assert not [character for character in text.replace("\n", "") if not character.isprintable()]


def test_a_line_of_an_event() -> None:
    event = happened(
        "gather_ended",
        "c1",
        event_id="x",
        sequence=4,
        digits="12",
        status="valid",
        tries=1,
        track="",
        extra={"a": [1]},
    )
    said = '00:00:09.500  c1  gather_ended       12, valid, tries=1, extra={"a":[1]}'
    assert event_line(event) == said
    assert event_line({}) == f"{'':12}    ?"


UUID = "0870a93b-c9d0-11f0-9c8f-02423b176f80"
QUALITY = {"mos": 4.013, "loss_percent": 3.547, "jitter_mean_ms": 14.4, "audio": {"level_dbfs": -30.0}}
IDENTITY = {"stream_id": UUID, "call_session_id": UUID, "to": "+15550100", "tags": ["x"], "from": "+15550000000"}


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (happened("call_started", UUID, door="ws", identity=IDENTITY), "ws, from +15550000000 to +15550100"),
        (happened("call_started", UUID, door="strep", identity={"call_leg_id": UUID, "leg": "A"}), "strep, leg A"),
        (happened("call_ended", UUID, reason="stop", quality=QUALITY, duration_ms=4000),
         "stop, 4.00 s, MOS 4.01 loss 3.5 %"),
        (happened("quality", UUID, outbound=QUALITY, inbound=QUALITY),
         "in MOS 4.01 loss 3.5 %, out MOS 4.01 loss 3.5 %"),
        (happened("recording_saved", UUID, recording_id=UUID, started_at="2026", path=f"/srv/recordings/{UUID}.wav",
                  is_take=False, files=[], position_ms=0, duration_ms=4000), f"…{UUID}.wav, 4.00 s"),
        (happened("playback_ended", UUID, error="because " * 30, status="failed"),
         "failed, error=because because because because be…"),
    ],
)  # fmt: skip
def test_a_line_has_what_matters_in_120_columns(event: dict[str, Any], said: str) -> None:
    line = event_line(event)
    assert line == f"00:00:09.500  {UUID}  {event['event']:<18} {said}"
    assert len(line) <= 120


def test_what_was_spoken_is_not_cut() -> None:
    text = "word " * 40
    assert event_line(happened("transcription", UUID, confidence=1, text=text, track="inbound")).count("word") == 40
