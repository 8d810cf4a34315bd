"""Shell: ``strep bench QUESTION``: measure, print the answer, keep it if asked to."""

from __future__ import annotations

import fcntl
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from benchmarks import options, plot, readme
from benchmarks.progress import Teller
from benchmarks.question import QUESTIONS, Question, find
from benchmarks.report import Report
from benchmarks.show import show
from media.cli import LazyGroup, examples

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"

_PATH = click.Path(path_type=Path, dir_okay=False)
_DIRECTORY = click.Path(path_type=Path, file_okay=False, exists=True)


def _quick() -> click.Option:
    return click.Option(["--quick"], is_flag=True, help="Seconds only: says whether it works, not how fast it is.")


def _scratch() -> click.Option:
    place = Path(tempfile.gettempdir())
    return click.Option(["--scratch"], type=_DIRECTORY, default=place, help="Where recordings go, and are removed.")


def _write_readme() -> click.Option:
    return click.Option(["--write-readme"], is_flag=True, help="Keep the answer: results/, README.md, picture.")


def _common() -> list[click.Parameter]:
    return [
        _quick(),
        _scratch(),
        click.Option(["--json", "json_file"], type=_PATH, help="Write everything measured here."),
        _write_readme(),
        click.Option(["--from-json"], type=_PATH, help="Do not measure; show what --json wrote."),
    ]


class BenchGroup(LazyGroup):
    """Its subcommands are the questions."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the question, and make a command of it."""
        if cmd_name == "all":
            return _all
        return command(find(cmd_name)) if cmd_name in QUESTIONS else None


@click.group(
    "bench",
    cls=BenchGroup,
    homes={**{name: ("", line) for name, line in QUESTIONS.items()}, "all": ("", "All of these, one after another.")},
    context_settings={"max_content_width": 110, "help_option_names": ["-h", "--help"]},
    epilog="\b\nExamples:\n  strep bench capacity\n  strep bench receive --quick\n  strep bench latency --help",
)
def bench() -> None:
    """Measure this machine: what a packet costs, how many calls it carries, how long audio takes.

    Every figure is checked by a referee: the recordings are complete and right, or it does not count. Ends with 1
    then. Sender and receiver get a core each, so two are needed; as root the receive buffer is large enough
    whatever net.core.rmem_max says.
    """


def command(question: Question) -> click.Command:
    """Return the command of a question."""
    return click.Command(
        question.name,
        callback=click.pass_context(lambda context, /, **_: _ask(context, question)),
        params=[*options.options_of(question.settings), *_common()],
        help=f"{QUESTIONS[question.name]}\n\n{question.explains}",
        epilog=examples(
            "Does it work here? The figures are nothing to go by:",
            f"  strep bench {question.name} --quick",
            "Keep what was measured, and look at it again:",
            f"  strep bench {question.name} --json {question.name}.json",
            f"  strep bench {question.name} --from-json {question.name}.json",
        ),
        context_settings={"max_content_width": 110, "help_option_names": ["-h", "--help"]},
    )


def _ask(context: click.Context, question: Question) -> None:
    given = context.params
    if given["write_readme"]:
        _check_is_checkout()
    console = _console()
    if given["from_json"] is not None:
        report = Report.from_json(given["from_json"].read_bytes())
    else:
        defaults = question.quick if given["quick"] else question.settings()
        report = _measure(question, options.chosen(context, defaults), given["scratch"], console)
    if given["json_file"] is not None:
        given["json_file"].parent.mkdir(parents=True, exist_ok=True)
        given["json_file"].write_bytes(report.to_json())
    _finish(report, console, write_readme=given["write_readme"])
    if report.complaints:
        context.exit(1)


def _all_questions(quick: bool, scratch: Path, write_readme: bool) -> None:
    """Ask every question, one after another, with its own defaults."""
    if write_readme:
        _check_is_checkout()
    console, failed = _console(), []
    for name, line in QUESTIONS.items():
        console.rule(f"{name}: {line}", align="left")
        question = find(name)
        report = _measure(question, question.quick if quick else question.settings(), scratch, console)
        _finish(report, console, write_readme=write_readme)
        failed += [name] if report.complaints else []
    if failed:
        raise click.ClickException(f"the referee complained of {', '.join(failed)}")


_all = click.Command(
    "all",
    callback=_all_questions,
    params=[_quick(), _scratch(), _write_readme()],
    help=_all_questions.__doc__,
    epilog=examples("Do all of them work here?", "  strep bench all --quick"),
)


def _console() -> Console:
    return Console(highlight=False, width=None if sys.stdout.isatty() else 118)


def _measure(question: Question, settings: Any, scratch: Path, console: Console) -> Report:
    with (
        alone(),
        tempfile.TemporaryDirectory(prefix="strep-bench-", dir=scratch) as name,
        Teller(console) as say,
    ):
        report = question.measure(settings, say, Path(name))
    return msgspec.structs.replace(report, settings=msgspec.to_builtins(settings))


def _finish(report: Report, console: Console, *, write_readme: bool) -> None:
    show(report, console)
    if write_readme:
        keep(report)


def keep(report: Report) -> None:
    """Write the report to ``results/`` of this checkout, its section of README.md and its picture."""
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    (results / f"{report.question}.json").write_bytes(report.to_json())
    plot.draw(report, results / f"{report.question}.png")
    readme.update(report, README)
    readme.update_overview(README, results)


def _check_is_checkout() -> None:
    if not (HERE.parent / "pyproject.toml").exists():
        raise click.ClickException("--write-readme is for a checkout of the sources; --json writes anywhere")


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other benchmark runs on this machine: two on the same cores measure each other."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # recordings are removed then
    with (Path(tempfile.gettempdir()) / "strep-bench.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            click.echo("waiting for another benchmark to end", err=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
