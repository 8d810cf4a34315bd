"""A process that is killed while it delivers: the next one goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.delivery.jobs import FOLDER
from media.delivery.schedule import MOST_BEGINNINGS
from media.sinks.finished import FileFormat
from tests.delivery.delivering import MemoryStore
from tests.delivery.recordings import finished, speech
from tests.delivery.worlds import KEY, delivering, left_over, names
from tests.kills.hook import Hook, Killed


def _is_step(event: str, arguments: tuple[Any, ...]) -> bool:
    return event in ("os.rename", "os.remove") or (event == "open" and FOLDER in str(arguments[0]))


HOOK = Hook(_is_step)


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
