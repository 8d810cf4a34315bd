"""What processes share and leave behind: used tokens and announced legs."""

from __future__ import annotations

import multiprocessing
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.admission import announced, uses
from media.admission.announced import Announced
from media.admission.desk import LegDesk, LegMemory, leg_of
from media.admission.entries import Entries
from media.admission.legs import LegGuard
from media.admission.tokens import TokenGate, Verdict, sign
from media.admission.uses import OwnUses, SharedUses, Uses
from media.doors.strep import StrepDoor
from strep.clock import NS_PER_SECOND
from tests.media.world import World

KEY = b"0123456789abcdef0123456789abcdef"
NOW_S = 1_780_000_000
CLAIMS = 200


@pytest.fixture(params=["own", "shared"])
def any_uses(request: pytest.FixtureRequest, tmp_path: Path) -> Uses:
    return OwnUses() if request.param == "own" else SharedUses(Entries(tmp_path / "tokens"), lambda count: count())


class TestUses:
    def test_the_first_stream_has_it_for_good(self, any_uses: Uses) -> None:
        said = [any_uses.claim("n", NOW_S, stream, NOW_S) for stream in ("a", "b", "a", "b")]
        assert said == [True, False, True, False]

    def test_a_stream_that_goes_on_gets_no_further_one(self, any_uses: Uses) -> None:
        """Who has a token that is not used yet does not get into the stream of somebody else by naming it."""
        live: set[str] = set()
        gate = TokenGate(key=KEY, uses=any_uses)
        gate.is_live = live.__contains__
        theirs, another = sign(KEY, NOW_S, "theirs"), sign(KEY, NOW_S, "another")
        assert gate.judge([theirs], NOW_S * NS_PER_SECOND, "a") is Verdict.GOOD
        live.add("a")
        said = [gate.judge([token], NOW_S * NS_PER_SECOND, "a") for token in (another, theirs)]
        assert said == [Verdict.USED, Verdict.GOOD]
        assert gate.judge([another], NOW_S * NS_PER_SECOND, "b") is Verdict.GOOD

    def test_names_that_no_path_may_have(self, any_uses: Uses, tmp_path: Path) -> None:
        for nonce in ("../../x", "a/b", "\0", "", "é" * 300, "\ud800"):
            assert any_uses.claim(nonce, NOW_S, "../stream", NOW_S) is True
            assert any_uses.claim(nonce, NOW_S, "other", NOW_S) is False
        assert {path.name for path in tmp_path.iterdir()} <= {"tokens"}

    def test_they_are_bounded_and_expire(self, any_uses: Uses, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(uses, "MAX_USED", 3)
        assert [any_uses.claim(f"n{i}", NOW_S, "a", NOW_S) for i in range(4)] == [True, True, True, None]
        assert any_uses.claim("n0", NOW_S, "a", NOW_S) is True  # it has it already
        assert any_uses.claim("n0", NOW_S, "b", NOW_S) is False
        assert any_uses.claim("n4", NOW_S + 99, "a", NOW_S + 60) is True


class TestSharing:
    def test_a_full_directory_is_counted_once_a_minute_and_beside_the_media_loop(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(uses, "MAX_USED", 3)
        first = SharedUses(Entries(tmp_path / "t"))
        assert [first.claim(f"n{i}", NOW_S, "a", NOW_S) for i in range(3)] == [True] * 3
        counts: list[Callable[[], None]] = []
        shared = SharedUses(Entries(tmp_path / "t"), counts.append)
        assert [shared.claim(f"m{i}", NOW_S, "a", NOW_S + i % 60) for i in range(1000)] == [None] * 1000
        assert (len(counts), shared.claim("n1", NOW_S, "a", NOW_S)) == (1, True)
        assert shared.claim("m", NOW_S + 99, "a", NOW_S + 60) is None
        counts[-1]()
        assert (len(counts), shared.claim("m", NOW_S + 99, "a", NOW_S + 61)) == (2, True)

    def test_a_folder_that_was_tidied_away_is_made_again(self, tmp_path: Path) -> None:
        shared = SharedUses(Entries(tmp_path / "t"))
        (tmp_path / "t").rmdir()
        assert [shared.claim("n", NOW_S, stream, NOW_S) for stream in ("a", "b")] == [True, False]

    def test_a_successor_knows_them(self, tmp_path: Path) -> None:
        token = sign(KEY, NOW_S, "nonce")
        said = [
            TokenGate(key=KEY, uses=SharedUses(Entries(tmp_path / "t"))).judge([token], NOW_S * NS_PER_SECOND, stream)
            for stream in ("a", "b", "a")
        ]
        assert said == [Verdict.GOOD, Verdict.USED, Verdict.GOOD]

    def test_of_processes_that_claim_at_once_one_has_it(self, tmp_path: Path) -> None:
        """Four processes, 200 tokens each, at once: every token is exactly one's."""
        context = multiprocessing.get_context("spawn")
        with context.Pool(4) as pool:
            won = pool.map(_claim_all, [(str(tmp_path / "t"), f"stream {number}") for number in range(4)])
        assert sorted(nonce for one in won for nonce in one) == list(range(CLAIMS))

    def test_of_threads_too(self, tmp_path: Path) -> None:
        with ThreadPoolExecutor(4) as pool:
            won = list(pool.map(_claim_all, [(str(tmp_path / "t"), f"stream {number}") for number in range(4)]))
        assert sorted(nonce for one in won for nonce in one) == list(range(CLAIMS))

    def test_where_it_cannot_be_written_nobody_is_let_in(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        shared = SharedUses(Entries(tmp_path / "t"))
        (tmp_path / "t").rmdir()
        (tmp_path / "t").touch()
        assert shared.claim("n", NOW_S, "a", NOW_S) is None
        assert "no signed token can be used" in caplog.text

    def test_it_is_its_owners_alone(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            Entries(tmp_path / "a" / "t")
        finally:
            os.umask(before)
        assert (
            stat.S_IMODE((tmp_path / "a").stat().st_mode) == stat.S_IMODE((tmp_path / "a/t").stat().st_mode) == 0o700
        )


def _claim_all(given: tuple[str, str]) -> list[int]:
    shared = SharedUses(Entries(Path(given[0])))
    return [number for number in range(CLAIMS) if shared.claim(f"n{number}", NOW_S, given[1], NOW_S)]


class TestAnnounced:
    def test_each_until_its_time(self) -> None:
        legs = Announced()
        legs.add((0, 1), 0, 10)
        legs.add((0, 2), 0, 20)
        assert [legs.has((0, 1), now) for now in (0, 10, 11)] == [True, True, False]
        assert [leg for leg, _ in legs.left(15)] == [(0, 2)]
        legs.add((0, 2), 15, 1)  # the last word counts
        assert not legs.has((0, 2), 17)
        assert (legs.discard((0, 2), 16), legs.discard((0, 2), 16)) == (True, False)

    def test_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(announced, "MOST", 3)
        legs = Announced()
        for number in range(10):
            legs.add((0, number), 0, 100)
        assert ([legs.has((0, number), 0) for number in range(10)].count(True), legs.forgotten) == (3, 7)

    def test_what_is_over_makes_room_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(announced, "MOST", 3)
        legs, gone = Announced(), list[tuple[int, int]]()
        legs.on_gone = gone.append
        for number, good_for_ns in enumerate((100, 10, 100)):
            legs.add((0, number), 0, good_for_ns)
        assert (legs.count(50), legs.discard((0, 1), 50)) == (2, False)
        legs.add((0, 1), 0, 10)
        legs.add((0, 3), 50, 100)
        assert ([leg for leg, _ in legs.left(50)], gone, legs.forgotten) == ([(0, 0), (0, 2), (0, 3)], [(0, 1)], 0)

    def test_one_that_is_over_already_is_refused(self) -> None:
        legs = Announced()
        with pytest.raises(ValueError, match="0 ns or more"):
            legs.add((0, 1), 100, -1)
        assert legs.count(0) == 0

    @given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30), st.integers(0, 20)), max_size=200))
    def test_as_a_dictionary_of_times(self, history: list[tuple[int, int, int]]) -> None:
        """Whoever is told, and whoever is left, are together all that were added."""
        legs, gone, now_ns = Announced(), set[tuple[int, int]](), 0
        legs.on_gone = gone.add
        until_ns: dict[tuple[int, int], int] = {}
        for number, step_ns, good_for_ns in history:
            now_ns += step_ns
            leg = (0, number)
            if good_for_ns:
                legs.add(leg, now_ns, good_for_ns)
                until_ns[leg] = now_ns + good_for_ns
                gone.discard(leg)
            else:
                assert legs.discard(leg, now_ns) == (until_ns.pop(leg, -1) >= now_ns)
            live = {one for one, end_ns in until_ns.items() if end_ns >= now_ns}
            assert {one for one, _ in legs.left(now_ns)} == live
            assert not gone & live
            assert len(legs._ends) <= 2 * len(legs._until_ns) + announced.EXPIRED_AT_ONCE + 1


class TestMemory:
    def desk(self, directory: Path) -> LegDesk:
        self.world = World()
        return LegDesk(StrepDoor(self.world.engine, LegGuard("registered")), self.world.clock, LegMemory(directory))

    def test_the_next_process_knows_what_is_announced(self, tmp_path: Path) -> None:
        desk = self.desk(tmp_path / "legs")
        for number in (1, 2, 3):
            desk.register(UUID(int=number), 60)
        assert desk.withdraw(UUID(int=2))
        assert self.desk(tmp_path / "legs").status()["announced"] == 2
        stale = LegMemory(tmp_path / "legs")
        assert stale.load(self.world.clock.wall_ns() / NS_PER_SECOND + 61) == []
        assert list((tmp_path / "legs").iterdir()) == []

    def test_what_is_no_entry_of_ours_is_passed_over(self, tmp_path: Path) -> None:
        memory = LegMemory(tmp_path)
        (tmp_path / "file").write_text("x")
        (tmp_path / "link").symlink_to("/etc/passwd")
        (tmp_path / str(UUID(int=1))).symlink_to("never")
        memory.add(UUID(int=2), NOW_S + 5)
        memory.add(UUID(int=2), NOW_S + 9)
        assert memory.load(NOW_S) == [(UUID(int=2), 9)]
        assert (tmp_path / "file").exists()

    def test_it_does_not_grow_while_the_process_lives(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is over, and what had to make room, leaves the directory as well."""
        monkeypatch.setattr(announced, "MOST", 5)
        desk = self.desk(tmp_path / "legs")
        for number in range(20):
            desk.register(UUID(int=number), 60)
        assert {path.name for path in (tmp_path / "legs").iterdir()} == {str(UUID(int=n)) for n in range(15, 20)}
        self.world.clock.advance(61 * NS_PER_SECOND)
        desk.register(UUID(int=17), 60)  # one that is over comes again
        assert [path.name for path in (tmp_path / "legs").iterdir()] == [str(UUID(int=17))]
        assert desk.status()["announced"] == 1

    def test_what_is_over_last_is_kept_where_there_are_too_many(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk = self.desk(tmp_path / "legs")
        for number in (3, 1, 5, 2, 4):
            desk.register(UUID(int=number), 60 * number)
        monkeypatch.setattr(announced, "MOST", 2)
        self.desk(tmp_path / "legs")
        assert {path.name for path in (tmp_path / "legs").iterdir()} == {str(UUID(int=4)), str(UUID(int=5))}

    def test_what_a_kill_has_left_unfinished_goes(self, tmp_path: Path) -> None:
        memory = LegMemory(tmp_path)
        for name, age_s in ((".new-old-1", 100), (".new-young-1", 1)):
            (tmp_path / name).symlink_to("x")
            os.utime(tmp_path / name, (NOW_S - age_s, NOW_S - age_s), follow_symlinks=False)
        assert memory.load(NOW_S) == []
        assert [path.name for path in tmp_path.iterdir()] == [".new-young-1"]

    @pytest.mark.parametrize("good_for_s", [0, -1, float("inf"), float("nan")])
    def test_an_announcement_for_no_time_is_refused(self, tmp_path: Path, good_for_s: float) -> None:
        desk = self.desk(tmp_path / "legs")
        with pytest.raises(ValueError, match="some seconds"):
            desk.register(UUID(int=1), good_for_s)
        assert list((tmp_path / "legs").iterdir()) == []

    def test_a_disk_that_refuses_costs_no_leg(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        desk = self.desk(tmp_path / "legs")
        (tmp_path / "legs").rmdir()
        (tmp_path / "legs").touch()
        desk.register(UUID(int=1))
        assert desk.status()["announced"] == 1
        assert "forgotten with this process" in caplog.text
        assert desk.withdraw(UUID(int=1))


@given(st.text(max_size=40))
def test_ids_are_uuids_or_nothing(text: str) -> None:
    found = leg_of(text)
    assert found is None or str(found).replace("-", "") == text.lower().replace("-", "")
