"""Recordings that go to a store, which may be away, refuse, or do damage."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from media.delivery.jobs import FOLDER
from media.delivery.settings import DeliverySettings
from media.delivery.stores import DirectoryStore
from media.sinks.finished import FileFormat
from tests.delivery.delivering import Delivering, MemoryStore
from tests.delivery.recordings import finished, speech
from tests.delivery.worlds import KEY, delivering, left_over, names
from tests.searching import IS_LONG
from tests.sinks.sidecars import check


class TestToAStore:
    def test_all_of_it_arrives_and_the_sidecar_says_where(self, tmp_path: Path) -> None:
        store = MemoryStore()
        world = delivering(tmp_path, store, formats=("wav", "mp3"))
        world.hand_over(finished(tmp_path))
        world.run()
        assert store.puts == [f"{KEY}.wav", f"{KEY}.mp3", f"{KEY}.json"]
        document = json.loads(store.objects[f"{KEY}.json"])
        assert [file["url"] for file in document["files"]] == [
            f"memory://there/{KEY}.{end}" for end in ("wav", "mp3")
        ]
        assert document == check(tmp_path / "call-1.json")
        assert names(tmp_path) == {"call-1.wav", "call-1.mp3", "call-1.json"}
        assert store.objects[f"{KEY}.wav"] == (tmp_path / "call-1.wav").read_bytes()

    @pytest.mark.parametrize("formats", [("wav",), ("flac",), ("wav", "opus")])
    def test_nothing_stays_here_where_that_is_wanted(self, tmp_path: Path, formats: tuple[FileFormat, ...]) -> None:
        store = MemoryStore()
        world = delivering(tmp_path, store, formats=formats, keep_local=False)
        world.hand_over(finished(tmp_path))
        world.run()
        assert names(tmp_path) == set()
        assert left_over(tmp_path) == []
        assert set(store.objects) == {f"{KEY}.{end}" for end in (*formats, "json")}
        assert world.saved[0].path == ""

    def test_a_name_that_is_taken_gets_a_number(self, tmp_path: Path) -> None:
        store = MemoryStore()
        store.objects = {f"{KEY}.json": b"somebody's", f"{KEY}.2.flac": b"somebody's"}
        world = delivering(tmp_path, store, formats=("flac",), key="{date}/{call_id}")
        world.hand_over(finished(tmp_path), finished(tmp_path, "call-1.2"))
        world.run()
        assert {key: len(content) > 20 for key, content in store.objects.items()} == {
            f"{KEY}.json": False,
            f"{KEY}.2.flac": False,
            **{f"{KEY}.{number}.{end}": True for number in (3, 4) for end in ("flac", "json")},
        }

    def test_two_at_once_that_want_the_same_name(self, tmp_path: Path) -> None:
        """Of a call and of a take of it, in one directory or two: nothing is sent over the other's."""
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        for other, number in ("a", 2), ("b", 3):
            store = MemoryStore()
            wishes: dict[str, Any] = {"key": "{date}/{call_id}", "keep_local": False, "keys_in": str(tmp_path / "a")}
            one, two = delivering(tmp_path / "a", store, **wishes), delivering(tmp_path / other, store, **wishes)
            one.hand_over(finished(tmp_path / "a", pcm=speech(1.0)))
            two.hand_over(finished(tmp_path / other, f"call-1.take{number}", speech(2.0)))
            if other == "a":
                two = one

            def meanwhile(
                verb: str, _key: str, store: MemoryStore = store, two: Delivering = two
            ) -> None:  # each has found its key free, and has sent nothing yet
                if verb == "exists":
                    store.before = lambda _verb, _key: None
                    two.deliverer.look()
                    while job := two.deliverer.next():
                        two.deliverer.apply(two.deliverer.work(job))

            store.before = meanwhile
            one.run()
            two.run()
            sizes = sorted(len(content) for key, content in store.objects.items() if key.endswith(".wav"))
            assert len(sizes) == 2
            assert sizes[0] < 40_000 < sizes[1]
            assert set(store.objects) == {f"{KEY}{end}" for end in (".wav", ".json", ".2.wav", ".2.json")}
            assert left_over(tmp_path / "a") == []

    def test_a_name_that_was_chosen_stays_taken_while_the_store_is_away(self, tmp_path: Path) -> None:
        store = MemoryStore()
        world = delivering(tmp_path, store, key="{date}/{call_id}", keep_local=False)

        def away(verb: str, _key: str) -> None:
            if verb == "put":
                raise ConnectionError

        store.before = away
        world.hand_over(finished(tmp_path), finished(tmp_path, "call-1.take"))
        world.run(hours=0.1)
        store.before = lambda _verb, _key: None
        world.process()
        world.run()
        assert set(store.objects) == {f"{KEY}{end}" for end in (".wav", ".json", ".2.wav", ".2.json")}
        assert left_over(tmp_path) == []

    def test_damage_is_seen_and_mended(self, tmp_path: Path) -> None:
        store, damaged = MemoryStore(), []

        def damage(content: bytes) -> bytes:
            damaged.append(len(content))
            return content[:-1] + b"!" if len(damaged) == 1 else content

        store.damage = damage
        world = delivering(tmp_path, store, formats=("flac",), keep_local=False)
        recording = finished(tmp_path)
        wanted, _ = soundfile.read(recording.path, dtype="int16")
        world.hand_over(recording)
        world.run()
        [trouble] = world.troubles
        assert trouble.will_retry
        assert "is not what was sent" in trouble.job.trouble
        assert store.puts == [f"{KEY}.flac", f"{KEY}.flac", f"{KEY}.json"]
        (tmp_path / "back.flac").write_bytes(store.objects[f"{KEY}.flac"])
        np.testing.assert_array_equal(soundfile.read(tmp_path / "back.flac", dtype="int16")[0], wanted)

    def test_what_cannot_even_be_read_back_is_sent_again(self, tmp_path: Path) -> None:
        """As clients of S3 do whose checksum does not fit."""
        store = MemoryStore()

        def refuse(verb: str, key: str) -> None:
            if verb == "has" and key in store.objects and store.puts.count(key) == 1:
                raise RuntimeError("checksum does not fit")

        store.before = refuse
        world = delivering(tmp_path, store, keep_local=False)
        world.hand_over(finished(tmp_path))
        world.run()
        assert store.puts == [f"{KEY}.wav", f"{KEY}.wav", f"{KEY}.json", f"{KEY}.json"]
        assert names(tmp_path) == set()

    def test_away_for_a_day(self, tmp_path: Path) -> None:
        """Nothing is removed, formats are made, the age grows, there is an alarm; then all of it arrives."""
        hours = 24 if IS_LONG else 4
        store = MemoryStore()

        def away(_verb: str, _key: str) -> None:
            raise ConnectionError("nobody is there")

        store.before = away
        world = delivering(tmp_path, store, formats=("flac",), keep_local=False)
        world.hand_over(*(finished(tmp_path, f"call-{number}") for number in range(5)))
        world.run(hours=hours)
        assert {f"call-{number}.wav" for number in range(5)} <= names(tmp_path)
        assert len([name for name in left_over(tmp_path) if name.endswith(".flac")]) == 5
        status = world.deliverer.status()
        assert (status.waiting, status.delivered) == (5, 0)
        assert hours * 3600e9 <= world.clock.wall_ns() - status.oldest_wall_ns <= (hours + 0.1) * 3600e9
        assert hours * 60 <= status.retries <= 2 * hours * 60 + 12
        assert len(world.troubles) == 5, "each is told of once"
        alarms = [text for text in world.said if text.startswith("5 recordings wait, the oldest for")]
        assert (hours - 1) * 5 <= len(alarms) <= (hours - 1) * 6 + 1
        assert f"for {hours - 1}." in alarms[-1] or f"for {hours}.0" in alarms[-1]
        assert "nobody is there" in alarms[-1]
        store.before = lambda _verb, _key: None
        world.run(hours=0.1)
        assert len(world.saved) == 5
        assert names(tmp_path) == set()

    def test_credentials_that_are_refused_are_told_of(self, tmp_path: Path) -> None:
        store = MemoryStore()

        def refuse(_verb: str, _key: str) -> None:
            raise PermissionError("Access Denied")

        store.before = refuse
        world = delivering(tmp_path, store, keep_local=False)
        world.hand_over(finished(tmp_path))
        world.run(hours=0.01)
        assert any(
            "Access Denied (are credentials, bucket and rights as they should be?)" in text for text in world.said
        )
        assert (tmp_path / "call-1.wav").exists()

    def test_a_directory(self, tmp_path: Path) -> None:
        there, here = tmp_path / "there", tmp_path / "here"
        here.mkdir()
        world = delivering(here, DirectoryStore(there.as_uri(), there), formats=("flac",), keep_local=False)
        world.hand_over(finished(here))
        world.run()
        files = sorted(path.relative_to(there).as_posix() for path in there.rglob("*") if path.is_file())
        assert files == [f"{KEY}.flac", f"{KEY}.json"]
        assert all(stat.S_IMODE((there / name).stat().st_mode) == 0o600 for name in files)
        document = check(there / f"{KEY}.json")
        assert document["files"][0]["url"] == (there / f"{KEY}.flac").as_uri()

    def test_another_store_is_sent_all_of_it_again(self, tmp_path: Path) -> None:
        """What one store has is no reason to remove it for another."""
        first, second = MemoryStore(), MemoryStore()
        first.before = lambda verb, key: (_ for _ in ()).throw(OSError("away")) if key.endswith("json") else None
        world = delivering(tmp_path, first, formats=("flac",), keep_local=False)
        world.hand_over(finished(tmp_path))
        world.run(hours=0.01)
        assert not first.objects
        second.url = "memory://elsewhere"
        world.store, world.settings = second, DeliverySettings(str(tmp_path), ("flac",), second.url, keep_local=False)
        world.process()
        world.run()
        assert set(second.objects) == {f"{KEY}.flac", f"{KEY}.json"}

    def test_files_that_somebody_removed_are_made_again(self, tmp_path: Path) -> None:
        store = MemoryStore()

        def away(_verb: str, _key: str) -> None:
            raise ConnectionError

        store.before = away
        world = delivering(tmp_path, store, formats=("flac",), keep_local=False)
        world.hand_over(finished(tmp_path))
        world.run(hours=0.01)
        (tmp_path / FOLDER / "call-1.flac").unlink()
        store.before = lambda _verb, _key: None
        world.run()
        assert set(store.objects) == {f"{KEY}.flac", f"{KEY}.json"}
