"""From the job file to the end: what is made, sent, kept and removed, whatever fails or dies on the way."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from media.delivery.contents import sha256_of
from media.delivery.jobs import FOLDER
from media.delivery.schedule import MOST_BEGINNINGS
from media.delivery.settings import DeliverySettings
from media.delivery.stores import DirectoryStore
from media.sinks.finished import FileFormat
from media.sinks.wav import Encoding
from tests.delivery.delivering import Delivering, MemoryStore
from tests.delivery.recordings import finished, read_json, speech
from tests.searching import IS_LONG
from tests.sinks.test_sidecar import check

KEY = "2023-11-14/call-1"


def delivering(directory: Path, store: MemoryStore | DirectoryStore | None = None, **settings: Any) -> Delivering:
    url = store.url if store else ""
    return Delivering(DeliverySettings(str(directory), url=url, **settings), store)


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir() if path.name != FOLDER}


def left_over(directory: Path) -> list[str]:
    return [path.name for path in (directory / FOLDER).iterdir()]


class TestInTheDirectory:
    def test_formats_take_the_place_of_the_wav(self, tmp_path: Path) -> None:
        world = delivering(tmp_path, formats=("flac", "mp3"))
        recording = finished(tmp_path)
        wanted, _ = soundfile.read(recording.path, dtype="int16")
        world.hand_over(recording)
        world.run()
        assert names(tmp_path) == {"call-1.flac", "call-1.mp3", "call-1.json"}
        np.testing.assert_array_equal(soundfile.read(tmp_path / "call-1.flac", dtype="int16")[0], wanted)
        document = check(tmp_path / "call-1.json")
        assert (document["file"], document["format"], document["length_samples"]) == ("call-1.flac", "flac", 80_000)
        assert [file["file"] for file in document["files"]] == ["call-1.flac", "call-1.mp3"]
        for file in document["files"]:
            path = tmp_path / file["file"]
            assert (file["size_bytes"], file["sha256"]) == (path.stat().st_size, sha256_of(path))
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert file["url"] is None
        [saved] = world.saved
        assert saved.path == str(tmp_path / "call-1.flac")
        assert left_over(tmp_path) == []

    def test_the_wav_stays_where_it_is_wanted(self, tmp_path: Path) -> None:
        world = delivering(tmp_path, formats=("wav", "opus"))
        recording = finished(tmp_path, encoding=Encoding.PCMU)
        before = recording.path.read_bytes()
        world.hand_over(recording)
        world.run()
        assert names(tmp_path) == {"call-1.wav", "call-1.opus", "call-1.json"}
        assert recording.path.read_bytes() == before
        assert [file["format"] for file in check(tmp_path / "call-1.json")["files"]] == ["pcmu", "opus"]

    @pytest.mark.parametrize("formats", [("wav",), ("flac",), ("wav", "flac")])
    def test_silence_is_cut_off(self, tmp_path: Path, formats: tuple[FileFormat, ...]) -> None:
        silence = np.zeros((24_000, 2), np.int16)
        pcm = np.concatenate((silence, speech(2.0), silence[:16_000]))
        world = delivering(tmp_path, formats=formats)
        world.hand_over(finished(tmp_path, pcm=pcm, trim_silence=True))
        world.run()
        document = read_json(tmp_path / "call-1.json")
        trimmed = document["trimmed"]
        first, last = trimmed["leading_samples"], len(pcm) - trimmed["trailing_samples"]
        assert abs(first - 23_200) <= 160
        assert document["length_samples"] == last - first
        for format in formats:
            got, _ = soundfile.read(tmp_path / f"call-1.{format}", dtype="int16")
            np.testing.assert_array_equal(got, pcm[first:last])
        [saved] = world.saved
        assert saved.job.kept_samples == last - first

    def test_one_that_was_asked_for_goes_before_the_configured(self, tmp_path: Path) -> None:
        world = delivering(tmp_path, formats=("flac",))
        world.hand_over(finished(tmp_path, format="mp3"))
        world.run()
        assert names(tmp_path) == {"call-1.mp3", "call-1.json"}

    def test_an_empty_recording_stays_a_wav(self, tmp_path: Path) -> None:
        world = delivering(tmp_path, formats=("mp3",))
        world.hand_over(finished(tmp_path, pcm=np.zeros((0, 2), np.int16), trim_silence=True))
        world.run()
        assert names(tmp_path) == {"call-1.wav", "call-1.json"}
        assert len(world.saved) == 1

    def test_what_is_no_audio_is_left_alone_and_tried_again_at_the_next_start(self, tmp_path: Path) -> None:
        world = delivering(tmp_path, formats=("flac",))
        bad, good = finished(tmp_path, "bad"), finished(tmp_path, "good")
        content = bad.path.read_bytes()
        bad.path.write_bytes(b"x" * 1000)
        world.hand_over(bad, good)
        world.run()
        assert names(tmp_path) == {"bad.wav", "bad.json", "good.flac", "good.json"}
        [trouble] = world.troubles
        assert (trouble.job.name, trouble.step, trouble.will_retry) == ("bad", "convert", False)
        assert world.deliverer.status().given_up == 1
        world.process(is_first=False)
        world.run()
        assert len(world.saved) == 1
        bad.path.write_bytes(content)
        world.process()
        world.run()
        assert [saved.job.name for saved in world.saved] == ["good", "bad"]

    def test_a_job_that_cannot_be_read_costs_no_other(self, tmp_path: Path) -> None:
        world = delivering(tmp_path, formats=("flac",))
        world.hand_over(finished(tmp_path))
        (tmp_path / FOLDER / "strange.job").write_text("{}")
        world.run()
        assert len(world.saved) == 1
        assert left_over(tmp_path) == ["strange.job"]
        assert any("strange" in text for text in world.said)


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


class Killed(BaseException):
    """What a process that is killed does: nothing more."""


class Hook:
    """Kills at the nth time that something is about to happen on the disk."""

    def __init__(self) -> None:
        self.left: int | None = None
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.left is None:
            return
        if event in ("os.rename", "os.remove") or (event == "open" and FOLDER in str(arguments[0])):
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Killed

    @contextmanager
    def after(self, count: int) -> Iterator[None]:
        self.left = count
        try:
            yield
        finally:
            self.left = None


HOOK = Hook()


class TestKilledAnywhere:
    """At every step on the disk and every request to the store; the next process ends in the same."""

    @pytest.mark.parametrize("keep_local", [True, False])
    @pytest.mark.parametrize(
        ("formats", "wishes"), [(("wav",), {}), (("flac",), {}), (("wav", "flac"), {"trim_silence": True})]
    )
    def test_the_next_process_goes_on(
        self, tmp_path: Path, formats: tuple[FileFormat, ...], wishes: dict[str, Any], keep_local: bool
    ) -> None:
        silence = np.zeros((8000, 2), np.int16)
        pcm = np.concatenate((silence, speech(1.0)))
        kills, number = 0, 0
        while kills == number:
            directory = tmp_path / str(number)
            directory.mkdir()
            store = MemoryStore()
            world = delivering(directory, store, formats=formats, keep_local=keep_local)
            world.hand_over(finished(directory, pcm=pcm, **wishes))
            try:
                with HOOK.after(number):
                    world.run()
            except Killed:
                kills += 1
                self.check_nothing_is_lost(directory, store, formats)
                world.process(is_first=False)
                world.run()
            number += 1
            expected = {f"{KEY}.{end}" for end in (*formats, "json")}
            assert set(store.objects) == expected
            stays = {f"call-1.{end}" for end in (*formats, "json")} if keep_local else {"call-1.json"}
            assert names(directory) <= stays, "the sidecar of one that was killed at the very end"
            document = json.loads(store.objects[f"{KEY}.json"])
            assert [file["url"] for file in document["files"]] == [f"memory://there/{KEY}.{end}" for end in formats]
            assert left_over(directory) == []
        assert kills > 8

    def check_nothing_is_lost(self, directory: Path, store: MemoryStore, formats: tuple[FileFormat, ...]) -> None:
        is_here = (directory / "call-1.wav").exists() or any(
            (directory / f"call-1.{format}").exists() for format in formats
        )
        assert is_here or set(store.objects) == {f"{KEY}.{end}" for end in (*formats, "json")}

    @pytest.mark.parametrize("verb", ["exists", "has", "put", "answer"])
    @pytest.mark.parametrize("key", ["flac", "json"])
    def test_amid_a_request(self, tmp_path: Path, verb: str, key: str) -> None:
        store = MemoryStore()

        def kill(at: str, of: str) -> None:
            if at == verb and of.endswith(key):
                store.before = lambda _verb, _key: None
                raise Killed

        store.before = kill
        world = delivering(tmp_path, store, formats=("flac",), keep_local=False)
        world.hand_over(finished(tmp_path))
        with pytest.raises(Killed):
            world.run()
        world.process(is_first=False)
        world.run()
        assert set(store.objects) == {f"{KEY}.flac", f"{KEY}.json"}
        assert len(store.puts) == 2, "what had arrived was not sent again"
        assert names(tmp_path) == set()

    def test_a_recording_that_kills_the_process_is_left_alone(self, tmp_path: Path) -> None:
        world = delivering(tmp_path, formats=("flac",))
        world.hand_over(finished(tmp_path))
        for _ in range(MOST_BEGINNINGS):
            with pytest.raises(Killed), HOOK.after(5):
                world.run()
            world.process(is_first=False)
        world.run()
        assert world.deliverer.status().given_up == world.deliverer.status().failed == 1
        assert names(tmp_path) == {"call-1.wav", "call-1.json"}
        world.process(is_first=False)
        world.run()
        [trouble] = world.troubles
        assert (trouble.job.name, trouble.step, trouble.will_retry) == ("call-1", "convert", False)
        [said] = world.said
        assert "recording call-1 stays as it is until the next start: convert: the process died of it" in said
        world.process()
        world.run()
        assert names(tmp_path) == {"call-1.flac", "call-1.json"}

    def test_and_its_neighbour_is_not(self, tmp_path: Path) -> None:
        """Of two that were worked at when the process died, each is then worked at alone."""
        world = delivering(tmp_path, formats=("flac",))
        world.hand_over(finished(tmp_path, "bad"), finished(tmp_path, "good"))
        for _ in range(MOST_BEGINNINGS):
            deliverer = world.deliverer
            deliverer.look()
            begun = list(iter(deliverer.next, None))
            for job in begun:  # as far as the job file says that it was begun
                with pytest.raises(Killed), HOOK.after(2):
                    deliverer.work(job)
            world.process(is_first=False)
        world.run()
        assert [trouble.job.name for trouble in world.troubles] == ["bad"]
        assert names(tmp_path) == {"bad.wav", "bad.json", "good.flac", "good.json"}
