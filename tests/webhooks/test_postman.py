"""The thread, with receivers that misbehave: nothing is lost, calls keep their order, ids stay the same."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from media.events.bus import EventBus, Told
from media.events.kinds import DigitPressed
from media.webhooks.envelope import Selection
from media.webhooks.outbox import Outcome, RetryPolicy
from media.webhooks.posting import Answer, HttpPoster, Poster
from media.webhooks.postman import MAX_WAITING, Postman, shown
from media.webhooks.spool import Memory, Spool, folder_name
from strep.clock import NS_PER_MS, NS_PER_SECOND, SystemClock
from tests.webhooks.events import call, digit, over, told
from tests.webhooks.receiver import Posted, Receiver, answer, free_port, taken, until

CLOCK = SystemClock()
QUICK = RetryPolicy(first_ns=NS_PER_MS, longest_ns=4 * NS_PER_MS, max_faults=1000, max_age_ns=3600 * NS_PER_SECOND)
DIGITS = "0123456789*#"


def postman(*urls: str, store: Memory | None = None, max_bytes: int = 1 << 20, **options: Any) -> Postman:
    settings: dict[str, Any] = {"make_poster": HttpPoster, "wanted": Selection(("*",)), "policy": QUICK}
    store = store or Memory()
    store.open()
    return Postman(urls, CLOCK, store=store, max_bytes=max_bytes, random=Random(1), **(settings | options))


@contextmanager
def delivering(*urls: str, **options: Any) -> Iterator[tuple[Postman, EventBus]]:
    made, bus = postman(*urls, **options), EventBus(CLOCK)
    bus.subscribe(made.put)
    made.start()
    try:
        yield made, bus
    finally:
        made.stop()


def impatient() -> HttpPoster:
    return HttpPoster(timeout_s=0.2)


def digits_of(posted: list[Posted], call_id: str) -> str:
    """Return the digits of a call, each event once, in the order in which they were first seen."""
    seen = {one.event_id: one.data["payload"]["digit"] for one in posted if one.call_id == call_id}
    return "".join(seen.values())


def press(bus: EventBus, *call_ids: str, digits: str = DIGITS) -> None:
    calls = [call(call_id) for call_id in call_ids]
    for number, character in enumerate(digits):
        for one in calls:
            place = 16_000 * number
            bus.publish(one, DigitPressed(position_samples=place, digit=character, source="rfc4733"))


def test_every_event_comes_once_and_calls_keep_their_order() -> None:
    with Receiver() as receiver:
        with delivering(receiver.url) as (made, bus):
            press(bus, "a", "b", "c")
            until(lambda: made.snapshot()["delivered"] == 3 * len(DIGITS))
        posted = receiver.posted
    assert len(posted) == 3 * len(DIGITS)
    assert [digits_of(posted, call_id) for call_id in "abc"] == [DIGITS] * 3


class Awkward:
    """Misbehaves for the first attempts of each event, in all ways that are over soon."""

    WAYS = (answer(500), answer(429, "Retry-After: 0"), answer(302, "Location: /"), b"", b"junk\r\n\r\n", answer(503))

    def __init__(self) -> None:
        self._random, self._lock = Random(2), threading.Lock()
        self._left: dict[str, int] = {}

    def __call__(self, posted: Posted) -> bytes:
        with self._lock:
            left = self._left.setdefault(posted.event_id, self._random.randrange(4))
            self._left[posted.event_id] -= 1
            return self._random.choice(self.WAYS) if left > 0 else answer()


def test_whatever_a_receiver_does_nothing_is_lost_and_calls_keep_their_order() -> None:
    with Receiver(Awkward()) as receiver, delivering(receiver.url) as (made, bus):
        press(bus, "a", "b", "c")
        until(lambda: made.snapshot()["delivered"] == 3 * len(DIGITS))
        posted = list(receiver.posted)
        assert [digits_of(posted, call_id) for call_id in "abc"] == [DIGITS] * 3
        attempts: dict[str, list[int]] = {}
        for one in posted:
            attempts.setdefault(one.event_id, []).append(one.attempt)
        assert len(attempts) == 3 * len(DIGITS), "each event has one id"
        assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in attempts.values())
        assert made.snapshot()["retried"] == len(posted) - len(attempts) > 0


def test_a_receiver_that_is_away_and_comes_back_gets_everything(caplog: pytest.LogCaptureFixture) -> None:
    with free_port() as port:
        url = f"http://127.0.0.1:{port}/hook"
    with caplog.at_level("INFO"), delivering(url) as (made, bus):
        press(bus, "a", "b")
        until(lambda: made.snapshot()["unreachable"] > 5)
        assert made.snapshot()["held"] == 1
        with Receiver(port=port) as receiver:
            until(lambda: made.snapshot()["delivered"] == 2 * len(DIGITS))
            posted = receiver.posted
        assert [digits_of(posted, call_id) for call_id in "ab"] == [DIGITS] * 2
        assert {one.attempt for one in posted} == {1}, "nobody got an attempt before"
    told = [record.getMessage() for record in caplog.records]
    assert [text.partition(url)[2][:21] for text in told] == [" does not take events", " takes events again"]


def test_a_receiver_that_hangs_holds_up_neither_another_nor_the_end() -> None:
    with (
        Receiver(lambda _: None) as hanging,
        Receiver() as other,
        delivering(hanging.url, other.url, make_poster=impatient) as (made, bus),
    ):
        press(bus, "a")
        posted = other.wait_for(lambda posted: len(digits_of(posted, "a")) == len(DIGITS))
        assert digits_of(posted, "a") == DIGITS
        assert made.snapshot()["waiting"] >= len(DIGITS)
        hanging.script = taken
        until(lambda: not made.snapshot()["waiting"])


def test_one_call_that_hangs_holds_up_no_other() -> None:
    with (
        Receiver(lambda posted: None if posted.call_id == "stuck" else answer()) as receiver,
        delivering(receiver.url, make_poster=impatient) as (_, bus),
    ):
        press(bus, "stuck", "a", "b")
        enough = receiver.wait_for(lambda posted: [digits_of(posted, c) for c in "ab"] == [DIGITS] * 2)
        assert digits_of(enough, "stuck") == DIGITS[0]
        receiver.script = taken


def test_what_is_refused_is_not_sent_again(caplog: pytest.LogCaptureFixture) -> None:
    with Receiver(lambda posted: answer(404 if posted.data["payload"]["digit"] == "1" else 200)) as receiver:
        with delivering(receiver.url) as (made, bus):
            press(bus, "a", digits="012")
            until(lambda: made.snapshot()["delivered"] == 2)
        assert [one.data["payload"]["digit"] for one in receiver.posted] == ["0", "1", "2"]
        assert (made.snapshot()["delivered"], made.snapshot()["refused"]) == (2, 1)
    assert "not taken (HTTP 404) and given up" in caplog.text


def test_only_what_is_wanted_is_posted() -> None:
    with Receiver() as receiver:
        with delivering(receiver.url, wanted=Selection(("streaming.*",))) as (_, bus):
            press(bus, "a")
            bus.publish(call("a"), over())
        assert [one.data["event_type"] for one in receiver.posted] == ["streaming.stopped"]


class TestWhatIsLeft:
    PATIENT = RetryPolicy(first_ns=3600 * NS_PER_SECOND)

    def leave(self, spool: Path, url: str, digits: str) -> None:
        """Be a process that ends while the receiver is away."""
        with delivering(
            url, store=Spool(spool, folder_name(1, 1)), policy=RetryPolicy(first_ns=3600 * NS_PER_SECOND)
        ) as (_, bus):
            press(bus, "a", digits=digits)

    def test_the_next_process_delivers_it_first(self, tmp_path: Path) -> None:
        with free_port() as port:
            self.leave(tmp_path, f"http://127.0.0.1:{port}/hook", "0123")
            left = len(list(tmp_path.rglob("*.json")))
        with Receiver(port=port) as receiver:
            with delivering(receiver.url, store=Spool(tmp_path, folder_name(2, 1))) as (_, bus):
                press(bus, "a", digits="45")
            assert digits_of(receiver.posted, "a") == "012345"
        assert (left, list(tmp_path.iterdir())) == (4, [])

    def test_what_is_for_a_receiver_that_is_configured_no_more_waits_for_it(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with free_port() as port:
            url = f"http://127.0.0.1:{port}/hook"
            self.leave(tmp_path, url, "0123")
            with Receiver() as other:
                with delivering(other.url, store=Spool(tmp_path, folder_name(2, 1))) as (made, _):
                    until(lambda: made.snapshot()["orphaned"] == 4)
                assert other.posted == []
        assert f"4 deliveries in the spool are for {url}, which is no --webhook now" in caplog.text
        with Receiver(port=port) as receiver:
            with delivering(url, store=Spool(tmp_path, folder_name(3, 1))):
                posted = receiver.wait_for(lambda posted: len(posted) == 4)
            assert digits_of(posted, "a") == "0123"
        assert list(tmp_path.iterdir()) == []

    def test_not_longer_than_it_may_be_old(self, tmp_path: Path) -> None:
        with free_port() as port, Receiver() as other:
            self.leave(tmp_path, f"http://127.0.0.1:{port}/hook", "0123")
            store, brief = Spool(tmp_path, folder_name(2, 1)), RetryPolicy(max_age_ns=0)
            with delivering(other.url, store=store, policy=brief) as (made, _):
                until(lambda: store.adopted == 4)
        assert made.snapshot()["orphaned"] == 0
        assert list(tmp_path.iterdir()) == []

    def test_what_the_disk_did_not_take_is_lost_and_that_is_said(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = Spool(tmp_path, folder_name(1, 1))
        with (
            free_port() as port,
            caplog.at_level("INFO"),
            delivering(f"http://127.0.0.1:{port}/hook", store=store, policy=self.PATIENT) as (_, bus),
        ):
            press(bus, "a", digits="01")
            until(lambda: len(list(tmp_path.rglob("*.json"))) == 2)
            (tmp_path / folder_name(1, 1)).rename(tmp_path / "away")
            press(bus, "b", digits="2")
            until(lambda: store.in_memory == 1)
            (tmp_path / "away").rename(tmp_path / folder_name(1, 1))
        assert "1 deliveries are lost with this process; the disk did not take them" in caplog.text
        assert "2 deliveries stay in the spool" in caplog.text

    def test_without_a_spool_it_is_lost_and_that_is_said(self, caplog: pytest.LogCaptureFixture) -> None:
        with free_port() as port, delivering(f"http://127.0.0.1:{port}/hook", policy=RetryPolicy()) as (_, bus):
            press(bus, "a", digits="01")
        assert "2 deliveries are lost with this process" in caplog.text


class Scripted(Poster):
    """Answers by a function."""

    def __init__(self, script: Any) -> None:
        self.script = script

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, wall_ns: int) -> Answer:
        result: Answer = self.script(body)
        return result

    async def close(self) -> None:
        pass


def test_beyond_the_bound_the_oldest_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    is_away, got = threading.Event(), list[bytes]()
    is_away.set()

    def script(body: bytes) -> Answer:
        if is_away.is_set():
            return Answer(Outcome.UNREACHABLE, detail="away")
        got.append(body)
        return Answer(Outcome.TAKEN)

    with delivering("http://a/", make_poster=lambda: Scripted(script), max_bytes=5000) as (made, bus):
        press(bus, "a", digits=DIGITS)
        until(lambda: (books := made.snapshot())["waiting"] + books["dropped"] == len(DIGITS))  # all have come to it
        until(lambda: made.snapshot()["waiting_bytes"] <= 5000)
        dropped = made.snapshot()["dropped"]
        assert dropped > 0
        is_away.clear()
    assert len(got) == len(DIGITS) - dropped
    assert b'"digit":"#"' in got[-1], "the newest are there"
    assert "too many wait" in caplog.text


def test_a_bug_in_posting_is_logged_and_costs_no_event(caplog: pytest.LogCaptureFixture) -> None:
    calls, url = iter(range(2)), "http://a/?token=secret"

    def script(_: bytes) -> Answer:
        if not next(calls):
            raise RuntimeError(url)
        return Answer(Outcome.TAKEN)

    with delivering(url, make_poster=lambda: Scripted(script)) as (made, bus):
        press(bus, "a", digits="1")
        until(lambda: made.snapshot()["delivered"] == 1)
    assert "posting failed: RuntimeError" in caplog.text
    assert "in script" in caplog.text, "it is told where"
    assert "secret" not in caplog.text


def test_a_bug_of_the_thread_is_logged_and_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("media.webhooks.postman.RESTART_S", 0)
    is_broken, hangs = threading.Event(), asyncio.Event()

    class Hanging(Scripted):
        async def post(self, url: str, headers: Mapping[str, str], body: bytes, wall_ns: int) -> Answer:
            if not is_broken.is_set():
                await hangs.wait()
            return Answer(Outcome.TAKEN)

    with delivering("http://a/", make_poster=lambda: Hanging(None)) as (made, bus):
        press(bus, "a", digits="1")
        until(lambda: made.snapshot()["in_flight"] == 1)
        keep = made._kept

        def fail(told: Told) -> Any:
            monkeypatch.setattr(made, "_kept", keep)
            is_broken.set()
            raise RuntimeError("a bug")

        monkeypatch.setattr(made, "_kept", fail)
        press(bus, "b", digits="2")
        until(is_broken.is_set)
        press(bus, "c", digits="3")
        until(lambda: made.snapshot()["delivered"] == 2)
    assert "RuntimeError: a bug" in caplog.text


def test_an_event_that_cannot_be_put_into_words_costs_no_other(caplog: pytest.LogCaptureFixture) -> None:
    unspeakable = call("a", identity={"from": object()})
    with delivering("http://a/", make_poster=lambda: Scripted(lambda _: Answer(Outcome.TAKEN))) as (made, bus):
        bus.publish(unspeakable, over())
        bus.publish(call("b"), over())
        until(lambda: made.snapshot()["delivered"] == 1)
        assert made.snapshot()["failed"] == 1
    assert "call_ended is no webhook" in caplog.text


def test_events_that_come_faster_than_they_are_taken_are_bounded() -> None:
    made, one = postman("http://a/"), told(digit())
    for _ in range(MAX_WAITING + 3):
        made.put(one)
    assert made.overflowed == 3


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://user:secret@a.example:8443/hook?token=t#x", "https://a.example:8443/hook"),
        ("http://[::1]:9/hook", "http://[::1]:9/hook"),
        ("http://a.example", "http://a.example"),
    ],
)
def test_logs_have_no_secrets_of_a_url(url: str, text: str) -> None:
    assert shown(url) == text
