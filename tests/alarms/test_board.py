"""Raising and clearing, with patience on both sides; against a plain reading of the rule."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from media.alarms.board import AlarmBoard, Look, Rule
from strep.clock import NS_PER_SECOND


def rule(raise_after: int = 1, clear_after: int = 1, clear_below: float = 5, severity: str = "warning") -> Rule:
    return Rule(
        f"{severity} alarm",
        severity,  # type: ignore[arg-type]
        "meaning",
        "remedy",
        lambda look: (look.now["value"], f"it is {look.now['value']}") if "value" in look.now else None,
        "10",
        raise_at=10,
        raise_after=raise_after,
        clear_below=clear_below,
        clear_after=clear_after,
    )


def history(board: AlarmBoard, values: list[float]) -> list[bool]:
    """Look at each value, a second apart; return after each whether anything is raised."""
    states = []
    for second, value in enumerate(values):
        board.look({"value": value}, second * NS_PER_SECOND)
        states.append(board.snapshot(0)[0]["is_raised"])
    return states


@given(
    values=st.lists(st.sampled_from([0, 4, 5, 9, 10, 50]), max_size=60),
    raise_after=st.integers(1, 4),
    clear_after=st.integers(1, 4),
)
def test_as_the_rule_reads(values: list[int], raise_after: int, clear_after: int) -> None:
    states, is_raised, since = history(AlarmBoard([rule(raise_after, clear_after)]), [*values]), False, 0
    for place, state in enumerate(states):
        recent = values[max(since, place + 1 - (clear_after if is_raised else raise_after)) : place + 1]
        wanted = clear_after if is_raised else raise_after
        if len(recent) == wanted and (max(recent) < 5 if is_raised else min(recent) >= 10):
            is_raised, since = not is_raised, place + 1
        assert state == is_raised


def test_what_is_said_of_it() -> None:
    board = AlarmBoard([rule()])
    assert board.look({}, 0) == []
    assert board.snapshot(0) == [{"name": "warning alarm", "severity": "warning", "is_raised": False, "raised": 0}]
    [alarm] = board.look({"value": 12}, NS_PER_SECOND)
    assert alarm.detail == "it is 12"
    board.look({"value": 11}, 2 * NS_PER_SECOND)
    [said] = board.snapshot(3 * NS_PER_SECOND)
    assert (said["is_raised"], said["age_ns"], said["detail"]) == (True, 2 * NS_PER_SECOND, "it is 11")
    assert board.look({"value": 4}, 4 * NS_PER_SECOND) == [alarm]
    assert board.snapshot(0) == [{"name": "warning alarm", "severity": "warning", "is_raised": False, "raised": 1}]


def test_growth_is_of_one_look_and_never_below_nothing() -> None:
    assert Look({"a": 5}, {}).grown("a") == 0, "what was before the first look is no news"
    assert Look({"a": 5, "b": 2}, {"a": 3}).grown("a", "b") == 4
    assert Look({"a": 1}, {"a": 3}).grown("a") == 0
