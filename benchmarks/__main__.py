"""Shell: ``python -m benchmarks``: measure, print the tables, keep them if asked to."""

from __future__ import annotations

import fcntl
import signal
import sys
import tempfile
from pathlib import Path

import click
import msgspec
from rich.console import Console

from benchmarks import plot, readme, receive, table
from benchmarks.contenders import CONTENDERS
from benchmarks.results import Results, Settings

HERE = Path(__file__).resolve().parent
KEPT = HERE / "results" / "receive.json"

QUICK = Settings([300], calls_per_second=500, plateau_seconds=1.0, repeats=1, contenders=list(CONTENDERS))


@click.command(context_settings={"max_content_width": 100})
@click.option("--quick", is_flag=True, help="300 calls, one short repeat: says whether it works, not how fast it is.")
@click.option("--seconds", type=click.FloatRange(0.1), default=6.0, show_default=True, help="Length of each plateau.")
@click.option("--ramp", type=click.FloatRange(1), default=125, show_default=True, help="Calls that begin per second.")
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True, help="How often, taking turns.")
@click.option(
    "--legs", type=click.IntRange(1), multiple=True, default=(1000, 100), show_default=True, help="Calls at once."
)
@click.option("--only", type=click.Choice(list(CONTENDERS)), multiple=True, help="Just these contenders.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write all figures here.")
@click.option(
    "--scratch",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path(tempfile.gettempdir()),
    help="Where recordings are written and thrown away.",
)
@click.option("--write-readme", is_flag=True, help="Keep the figures: results/receive.json, README.md and its plot.")
@click.option("--from-json", type=click.Path(path_type=Path, exists=True), help="Do not measure; show these figures.")
def main(
    quick: bool,
    seconds: float,
    ramp: float,
    repeats: int,
    legs: tuple[int, ...],
    only: tuple[str, ...],
    json_file: Path | None,
    scratch: Path,
    write_readme: bool,
    from_json: Path | None,
) -> None:
    """Measure what a packet costs, in our receiver and in others, side by side on this machine.

    Ends with 1 if the referee found that a contender did not do its work: its figure does not count then.
    """
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 118)
    if from_json is not None:
        results = Results.from_json(from_json.read_bytes())
    else:
        chosen = [name for name in CONTENDERS if name in (only or CONTENDERS)]
        settings = Settings(list(legs), ramp, seconds, repeats, chosen)
        if quick:
            settings = msgspec.structs.replace(QUICK, contenders=chosen)
        with tempfile.TemporaryDirectory(prefix="strep-bench-", dir=scratch) as directory:
            results = receive.measure(settings, console.out, Path(directory))
    for path in filter(None, (json_file, KEPT if write_readme else None)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(results.to_json())
    if write_readme:
        plot.draw(results, HERE / "results" / "receive.png")
        readme.update(results, HERE / "README.md")
    table.show(results, console)
    if results.complaints:
        sys.exit(1)


def _alone() -> None:
    """Run `main` when no other benchmark runs on this machine: two on the same cores measure each other."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that recordings are removed
    with (Path(tempfile.gettempdir()) / "strep-bench.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            click.echo("waiting for another benchmark to end", err=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        main()


if __name__ == "__main__":
    _alone()
