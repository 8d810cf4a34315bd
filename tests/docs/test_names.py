"""What pages name is there: options, variables, metrics, files, headings, targets of make, extras, commands."""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from pathlib import Path

import click
import pytest

from media.options import OPTIONS
from strep.reject import Reject
from tests.deploy.exposition import exposed_names
from tests.docs.pages import ROOT, TEXT, simple_commands, spans
from tests.docs.understood import all_commands, context_of

PLACEHOLDER = re.compile(r"\.\.\.|\[-|\b(?:FILE|ID|URL|HOST:PORT|N|KEY|QUESTION|DIRECTORY)\b")
OF_OTHERS = {
    "--build-arg", "--cpuset-cpus", "--memory", "--no-buffer", "--now", "--read-only", "--rm", "--stop-timeout",
    "--tmpfs", "--ulimit", "--user", "--data-urlencode",
}  # fmt: skip
"""Options of docker, curl and systemctl."""
NO_OPTIONS = {"STREP_URL"} | {reason.name for reason in Reject}
"""A variable of the commands that ask a server, and why a packet is rejected."""


def flags() -> set[str]:
    return {"--help"} | {flag for _, context in all_commands() for param in context.command.params
                         for flag in param.opts}  # fmt: skip


@pytest.mark.parametrize("page", TEXT)
class TestPage:
    def test_options(self, page: str) -> None:
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+(?!-?[\w-])", TEXT[page]))
        assert named - flags() - OF_OTHERS == set()

    def test_variables(self, page: str) -> None:
        named = set(re.findall(r"\bSTREP_[A-Z_]+\b", TEXT[page]))
        assert named - {option.variable for option in OPTIONS} - NO_OPTIONS == set()

    def test_metrics(self, page: str) -> None:
        named = set(re.findall(r"`(strep_\w+)(?:\{[^`]*)?`", TEXT[page])) - {"strep_calls"}
        exposed = exposed_names()
        assert [name for name in named if not {name, f"{name}_bucket"} & exposed] == []

    def test_files_of_this_repository(self, page: str) -> None:
        folders = "strep|media|tests|deploy|examples|benchmarks|docs|requirements"
        named = re.findall(rf"`((?:{folders})/[\w./-]*\w/?)`", TEXT[page])
        assert [name for name in named if not (ROOT / name).exists()] == []

    def test_links(self, page: str) -> None:
        """Of pages and of headings in them; what is elsewhere nobody asks here."""
        here = ROOT / page
        for link in re.findall(r"\]\(([^)\s]+)\)", TEXT[page]):
            if "://" in link:
                continue
            path, _, anchor = link.partition("#")
            target = (here.parent / path) if path else here
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link

    def test_targets_and_extras(self, page: str) -> None:
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert set(re.findall(r"`make ([a-z-]+)", TEXT[page])) <= targets
        extras = re.findall(r"(?:strep|'\.)\[([a-z,]+)\]", TEXT[page])
        assert {name for names in extras for name in names.split(",")} <= project["optional-dependencies"].keys()


def anchors(page: Path) -> set[str]:
    """Return what headings of a page are called in links, by GitHub's rule."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


OURS = sorted({span for _, span in spans() if re.match(r"(?:\(umask 077; )?strep [a-z]", span)})


@pytest.mark.parametrize("line", OURS)
def test_a_command_in_the_text_is_one(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _, words in simple_commands(re.sub(r" \.\.\.$", "", line)):
        if words[0] == "strep":
            named = words[1:2] if PLACEHOLDER.search(line) or len(words) == 2 else words[1:]
            with suppress(click.MissingParameter, click.BadOptionUsage):  # as in `strep tap --token`
                context_of([*named, "--help"] if len(named) < 2 else named, tmp_path)
