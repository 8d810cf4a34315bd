"""Judges beside an ear: many tracks at once, tracks without audio, tracks that come and go."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks.hearing_corpus import Line
from media.blocks import PcmBatch
from media.hearing.ear import TONES, WORDS, Ear
from media.hearing.machine import Finding, GreetingEnd, MachineRules, Verdict
from media.hearing.machine_desk import MachineDesk
from strep.clock import NS_PER_SECOND
from tests.hearing.audio import RATE_HZ, batches, line, silence, tones
from tests.hearing.test_voice import murmur


def desk() -> tuple[Ear, MachineDesk]:
    ear = Ear((WORDS, TONES))
    return ear, MachineDesk(ear)


def judged(lines: Sequence[Line], *, block_ms: int = 20) -> dict[int, list[Finding]]:
    ear, one = desk()
    found: dict[int, list[Finding]] = {2 * call: [] for call in range(len(lines))}
    for key in found:
        one.begin(key, MachineRules())
    for number, batch in enumerate(batches(lines, block_ms), 1):
        batch.now_ns = number * block_ms * NS_PER_SECOND // 1000
        for key, finding in one.receive(ear.receive(batch), batch.now_ns):
            found[key].append(finding)
    assert len(one) == sum(not findings for findings in found.values())
    return found


LINES = [
    line(silence(0.5), murmur(0.6), silence(8)),
    line(silence(0.3), murmur(4), silence(0.5), tones(0.3, 1000), silence(4)),
    line(silence(0.3), murmur(4), silence(5)),
    line(silence(2), tones(3, 2100), silence(4)),
    line(silence(9.1)),
]


@pytest.mark.parametrize("block_ms", [20, 60, 100])
def test_many_tracks_side_by_side_in_blocks_of_any_length(block_ms: int) -> None:
    found = judged(LINES, block_ms=block_ms)
    verdicts = [next(f for f in findings if isinstance(f, Verdict)) for findings in found.values()]
    assert [verdict.result for verdict in verdicts] == ["human", "machine", "machine", "fax_detected", "silence"]
    ends = [[f.result for f in findings if isinstance(f, GreetingEnd)] for findings in found.values()]
    assert ends == [[], ["beep_detected"], ["ended"], [], []]
    assert {key: [f.position_samples for f in findings] for key, findings in judged(LINES).items()} == {
        key: [f.position_samples for f in findings] for key, findings in found.items()
    }


def test_a_track_of_which_nothing_comes_is_silent_by_the_clock() -> None:
    ear, one = desk()
    one.begin(6, MachineRules(initial_silence_ms=1000))
    found: list[tuple[int, Finding]] = []
    for tick in range(20):
        now_ns = 10 * NS_PER_SECOND + tick * NS_PER_SECOND // 10
        found += one.receive(ear.receive(PcmBatch.tick(now_ns)), now_ns)
    [(key, verdict)] = found
    assert isinstance(verdict, Verdict)
    assert (key, verdict.result) == (6, "silence")


def test_a_person_who_stops_sending_has_fallen_silent() -> None:
    """Packets stop with the voice, as they do with DTX: the silence is the clock's."""
    ear, one = desk()
    one.begin(0, MachineRules())
    for number, batch in enumerate(batches([line(silence(0.5), murmur(0.6))]), 1):
        batch.now_ns = now_ns = number * NS_PER_SECOND // 50
        assert not list(one.receive(ear.receive(batch), now_ns))
    found: list[tuple[int, Finding]] = []
    for _ in range(15):
        now_ns += NS_PER_SECOND // 10
        found += one.receive(ear.receive(PcmBatch.tick(now_ns)), now_ns)
    [(_, verdict)] = found
    assert isinstance(verdict, Verdict)
    assert verdict.result == "human"


def test_what_is_asked_again_or_no_more() -> None:
    ear, one = desk()
    one.begin(0, MachineRules())
    one.begin(2, MachineRules())
    one.forget(2)
    one.begin(0, MachineRules(initial_silence_ms=200))
    found: list[tuple[int, Finding]] = []
    for number, batch in enumerate(batches([line(silence(1)), line(silence(1))]), 1):
        batch.now_ns = number * NS_PER_SECOND // 50
        found += one.receive(ear.receive(batch), batch.now_ns)
    assert [(key, type(finding)) for key, finding in found] == [(0, Verdict)]
    assert len(one) == 0
    assert list(one.finish(0, 0)) == []


def test_the_end_of_a_call() -> None:
    ear, one = desk()
    one.begin(0, MachineRules())
    for batch in batches([Line(np.zeros(RATE_HZ, np.int16), np.zeros(RATE_HZ, np.bool_), [])]):
        assert not list(one.receive(ear.receive(batch), 0))
    [(_, verdict)] = one.finish(0, 0)
    assert isinstance(verdict, Verdict)
    assert (verdict.result, verdict.reason) == ("not_sure", "the call ended after 1000 ms")
