"""The contenders: what they need, and the programs that are no Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import contenders, receive
from benchmarks.contenders import CONTENDERS, Kind, installed, missing
from benchmarks.contenders.installed import NEEDS, Need
from benchmarks.progress import Silent


class Heard(Silent):
    """`Say` that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A contender called ``absent`` that needs what is not here."""
    monkeypatch.setitem(NEEDS, "unobtainium", Need("Unobtainium", lambda: None, "apt-get install unobtainium"))
    monkeypatch.setitem(CONTENDERS, "absent", Kind("Nobody", "nothing", "nowhere:Nobody", "", ("unobtainium",)))
    monkeypatch.setattr(installed, "version", installed.version.__wrapped__)


class TestInstalled:
    def test_needs_are_known(self) -> None:
        assert {need for kind in CONTENDERS.values() for need in kind.needs} <= NEEDS.keys()

    @pytest.mark.usefixtures("absent")
    def test_what_is_missing_is_told(self) -> None:
        assert missing("absent") == "no Unobtainium here, apt-get install unobtainium"
        assert missing("asyncio") == ""
        assert "Unobtainium" not in installed.versions(NEEDS)

    def test_programs_that_are_not_there(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(installed, "PION", tmp_path / "pion")
        for key in ("node", "node-ws", "go", "pion", "gstreamer"):
            assert NEEDS[key].version() is None

    @pytest.mark.usefixtures("absent")
    def test_left_out_of_the_question(self) -> None:
        say = Heard()
        assert receive._present(["asyncio", "absent"], say) == ["asyncio"]
        assert say.lines == ["Nobody is left out: no Unobtainium here, apt-get install unobtainium"]

    def test_most_legs(self) -> None:
        assert receive._up_to(100, ["asyncio", "gstreamer"]) == ["asyncio", "gstreamer"]
        assert receive._up_to(1000, ["asyncio", "gstreamer"]) == ["asyncio"]


def test_places_are_files() -> None:
    here = Path(contenders.__file__).parent
    for kind in CONTENDERS.values():
        assert (here / kind.place.partition(":")[0]).with_suffix(".py").exists()
        assert kind.place.partition(":")[0] != "programs" or (here / kind.argument).exists()
