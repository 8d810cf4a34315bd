"""What is kept is what is shown: JSON, Markdown and the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import readme
from benchmarks.command import README
from benchmarks.environment import describe
from benchmarks.question import GOALS, QUESTIONS
from benchmarks.report import Report, Spread, Table

KEPT = sorted((README.parent / "results").glob("[a-z]*.json"))


def report(**changes: object) -> Report:
    table = Table("Title", ["what", "ns"], [["ours", "1"], ["theirs", "2"]], note="Note.")
    return Report("receive", describe(Path("/")), ["One is 1 ns."], [table], 2, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", [path for path in KEPT if "-" not in path.stem], ids=lambda path: path.stem)
def test_page_shows_the_kept_results(path: Path) -> None:
    assert readme.section(Report.from_json(path.read_bytes())) in README.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(QUESTIONS))
def test_every_question_has_a_place_on_the_page(name: str) -> None:
    text = README.read_text(encoding="utf-8")
    assert all(line in text for line in readme.markers(name))
    assert f"`strep bench {name}`" in text


def test_page_begins_with_all_answers() -> None:
    assert readme.overview(README.parent / "results") in README.read_text(encoding="utf-8")
    assert GOALS.keys() <= QUESTIONS.keys()


def test_survives_json() -> None:
    once = report(complaints=["a"], settings={"seconds": 1.0})
    assert Report.from_json(once.to_json()) == once


class TestMarkdown:
    def test_tables_and_answers(self) -> None:
        text = readme.section(report())
        assert "* One is 1 ns.\n" in text
        assert "### Title\n\n| what | ns |\n| --- | ---: |\n| ours | 1 |\n| theirs | 2 |\n\nNote.\n" in text
        assert "The referee checked all 2 runs and had no complaint." in text

    def test_complaints(self) -> None:
        assert readme.section(report(complaints=["a sample is altered"])).endswith("* a sample is altered\n")

    def test_only_the_section_of_the_question_changes(self, tmp_path: Path) -> None:
        path = tmp_path / "README.md"
        (first, last), (other, end) = readme.markers("receive"), readme.markers("scale")
        path.write_text(f"before\n{first}\nold\n{last}\nbetween\n{other}\nkept\n{end}\n")
        readme.update(report(), path)
        text = path.read_text()
        assert text.startswith(f"before\n{first}\n\n* One is 1 ns.")
        assert text.endswith(f"{last}\nbetween\n{other}\nkept\n{end}\n")
        assert "old" not in text

    def test_without_markers(self, tmp_path: Path) -> None:
        path = tmp_path / "README.md"
        path.write_text("nothing")
        with pytest.raises(ValueError, match="has no lines"):
            readme.update(report(), path)


class TestSpread:
    def test_of(self) -> None:
        spread = Spread.of([3.0, 1.0, 2.0])
        assert (spread.median, spread.low, spread.high) == (2.0, 1.0, 3.0)

    def test_text(self) -> None:
        assert Spread(1234.4, 1200.0, 1300.0).text() == "1,234 (1,200-1,300)"
        assert Spread(1.5, 1.5, 1.5).text(".1f") == "1.5"
