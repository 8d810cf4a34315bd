"""A name is taken in one step, from nobody, and whoever finds it finds a file that has begun and is locked."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from media.sinks.audio_files import AudioFile, create, reopen
from media.sinks.naming import create_begun, remove_left_over
from media.sinks.wav import Encoding
from tests.sealing.people import FOR_ALICE

AUDIENCES = [(), FOR_ALICE]


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def make(directory: Path, audience: Any) -> AudioFile:
    return create(directory, "leg", Encoding.PCM16, 8000, audience)


@pytest.mark.parametrize("audience", AUDIENCES)
class TestName:
    def test_it_is_begun_and_locked_when_its_name_appears(
        self, tmp_path: Path, audience: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        link, seen = os.link, list[str]()

        def look(temporary: Path, path: Path) -> None:
            assert names(tmp_path) == [temporary.name]
            assert not remove_left_over(temporary), "it is locked"
            link(temporary, path)
            seen.append(path.name)
            assert reopen(path, audience) is None, "it is locked"

        monkeypatch.setattr(os, "link", look)
        file = make(tmp_path, audience)
        assert names(tmp_path) == seen == [file.path.name]
        file.let_go()
        again = reopen(file.path, audience)
        assert again is not None
        assert (again.length_samples, again.sample_rate_hz) == (0, 8000)
        again.let_go()

    def test_who_was_quicker_keeps_it(self, tmp_path: Path, audience: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        link, taken = os.link, list[AudioFile]()

        def too_late(temporary: Path, path: Path) -> None:
            monkeypatch.setattr(os, "link", link)
            taken.append(make(tmp_path, audience))
            link(temporary, path)

        monkeypatch.setattr(os, "link", too_late)
        second = make(tmp_path, audience)
        [first] = taken
        ending = first.path.name.removeprefix("leg")
        assert (first.path.name, second.path.name) == (f"leg{ending}", f"leg.2{ending}")
        assert names(tmp_path) == sorted([first.path.name, second.path.name])
        for file in [*taken, second]:
            file.let_go()

    def test_where_a_file_has_one_name_only(
        self, tmp_path: Path, audience: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: Any) -> None:
            raise PermissionError(errno.EPERM, "no hard links here")

        monkeypatch.setattr(os, "link", refuse)
        first, second = make(tmp_path, audience), make(tmp_path, audience)
        assert names(tmp_path) == sorted([first.path.name, second.path.name])
        assert reopen(first.path, audience) is None
        first.let_go()
        again = reopen(first.path, audience)
        assert again is not None
        again.let_go()
        second.let_go()

    def test_another_process_may_take_it_for_left_over_before_it_is_locked(
        self, tmp_path: Path, audience: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened, removed = os.open, list[bool]()

        def open_and_lose(path: Any, *rest: Any) -> int:
            fd = opened(path, *rest)
            if not removed:
                removed.append(True)
                removed.append(remove_left_over(Path(path)))
            return fd

        monkeypatch.setattr(os, "open", open_and_lose)
        file = make(tmp_path, audience)
        assert removed == [True, True]
        assert names(tmp_path) == [file.path.name]
        file.let_go()


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_one_that_cannot_be_begun_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    def fail(_fd: int) -> None:
        raise error

    with pytest.raises(type(error)):
        create_begun(tmp_path / "a.wav", fail)
    assert names(tmp_path) == []


def test_a_second_name_of_a_file_that_has_its_own_goes_whoever_has_locked_it(tmp_path: Path) -> None:
    file = make(tmp_path, ())
    os.link(file.path, tmp_path / ".0123456789abcdef.wav.tmp")  # a process was killed before it took that away
    assert remove_left_over(tmp_path / ".0123456789abcdef.wav.tmp")
    assert names(tmp_path) == ["leg.wav"]
    assert reopen(file.path) is None
    file.let_go()
