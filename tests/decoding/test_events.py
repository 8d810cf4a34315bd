"""Keys by RFC 4733: each once, whatever of its packets is repeated, lost or overtaken."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from media.decoding.events import DIGITS, ENDED_AFTER_NS, EVENT, TelephoneEvents
from strep.clock import NEVER_NS

SSRC = 7
STEP_NS = 20_000_000


def payload(code: int, duration: int, *, ended: bool = False) -> bytes:
    return EVENT.pack(code, 0x80 * ended | 10, duration)


def dtmf(digit: str, duration_ms: int) -> dict[str, Any]:
    return {"event": "dtmf", "digit": digit, "duration_ms": duration_ms, "source": "rfc4733"}


def packets_of(code: int, timestamp: int, updates: int = 4) -> list[tuple[int, bytes]]:
    """Return one event as a sender sends it: updates every 20 ms, the last three times."""
    running = [(timestamp, payload(code, 160 * (i + 1))) for i in range(updates)]
    return running + 3 * [(timestamp, payload(code, 160 * (updates + 1), ended=True))]


def heard(events: TelephoneEvents, packets: list[tuple[int, bytes]], start_ns: int = 0) -> list[dict[str, Any]]:
    found = []
    for i, (timestamp, data) in enumerate(packets):
        now_ns = start_ns + i * STEP_NS
        found += events.poll(now_ns)
        found += events.receive(SSRC, timestamp, data, now_ns)
    return found


class TestOneKey:
    def test_is_reported_once_at_its_end(self) -> None:
        events = TelephoneEvents(8000)
        assert heard(events, packets_of(5, 1000)) == [dtmf("5", 100)]
        assert events.packets == 7
        assert events.deadline() == NEVER_NS
        assert events.finish() == []

    def test_only_one_packet_of_it_arrives(self) -> None:
        for number in range(7):
            events = TelephoneEvents(8000)
            found = heard(events, [packets_of(11, 1000)[number]]) + events.poll(ENDED_AFTER_NS)
            assert found == [dtmf("#", min(20 * (number + 1), 100))]

    def test_lost_ends_are_found_by_time(self) -> None:
        events = TelephoneEvents(8000)
        assert heard(events, packets_of(0, 1000)[:4]) == []
        assert events.deadline() == 3 * STEP_NS + ENDED_AFTER_NS
        assert events.poll(events.deadline() - 1) == []
        assert events.poll(events.deadline()) == [dtmf("0", 80)]
        assert heard(events, packets_of(0, 1000)[4:]) == [], "the end comes after all"

    def test_lost_ends_are_found_by_the_next_key(self) -> None:
        events = TelephoneEvents(8000)
        assert heard(events, packets_of(1, 1000)[:4] + packets_of(1, 4000)) == [dtmf("1", 80), dtmf("1", 100)]

    def test_the_call_ends_first(self) -> None:
        events = TelephoneEvents(8000)
        assert heard(events, packets_of(15, 1000)[:2]) == []
        assert events.finish() == [dtmf("D", 40)]

    def test_a_timestamp_may_wrap(self) -> None:
        events = TelephoneEvents(8000)
        found = heard(events, packets_of(1, 2**32 - 100)) + heard(events, packets_of(2, 700), 10**9)
        assert found == [dtmf("1", 100), dtmf("2", 100)]

    def test_durations_are_in_units_of_the_clock(self) -> None:
        assert heard(TelephoneEvents(48_000), [(0, payload(1, 4800, ended=True))]) == [dtmf("1", 100)]


def test_the_same_key_twice_is_two_keys() -> None:
    assert heard(TelephoneEvents(8000), packets_of(9, 0) + packets_of(9, 2000)) == 2 * [dtmf("9", 100)]


def test_another_source_has_timestamps_of_its_own() -> None:
    events = TelephoneEvents(8000)
    heard(events, packets_of(9, 5000))
    assert events.receive(8, 100, payload(3, 160, ended=True), 0) == [dtmf("3", 20)]


def test_several_events_in_one_packet() -> None:
    both = payload(1, 400, ended=True) + payload(2, 800, ended=True)
    assert TelephoneEvents(8000).receive(SSRC, 0, both, 0) == [dtmf("1", 50), dtmf("2", 100)]


def test_other_events_are_no_digits() -> None:
    events = TelephoneEvents(8000)
    assert heard(events, packets_of(16, 0) + packets_of(36, 2000)) == []
    assert events.packets == 14


def test_short_payloads_say_nothing() -> None:
    assert TelephoneEvents(8000).receive(SSRC, 0, b"\x05\x80\x00", 0) == []


CODES = st.lists(st.integers(0, 15), min_size=1, max_size=6)


@given(CODES, st.data())
def test_whatever_is_lost_each_key_is_reported_once(codes: list[int], data: st.DataObject) -> None:
    sent = [(i, one) for i, code in enumerate(codes) for one in packets_of(code, 3000 * i)]
    kept = [each for each in sent if data.draw(st.integers(0, 3)) == 0]
    events = TelephoneEvents(8000)
    found = heard(events, [one for _, one in kept]) + events.finish()
    assert [event["digit"] for event in found] == [DIGITS[codes[i]] for i in sorted({i for i, _ in kept})]


@given(CODES, st.data())
def test_whatever_overtakes_no_key_is_reported_twice(codes: list[int], data: st.DataObject) -> None:
    sent = [one for i, code in enumerate(codes) for one in packets_of(code, 3000 * i)]
    order = sorted(range(len(sent)), key=lambda n: n + data.draw(st.integers(0, 6)))
    events = TelephoneEvents(8000)
    found = [event["digit"] for event in heard(events, [sent[n] for n in order]) + events.finish()]
    keys = iter(DIGITS[code] for code in codes)
    assert all(digit in keys for digit in found), "a subsequence of what was pressed"
