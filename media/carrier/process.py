"""What ``strep simulate`` asks of its process: enough sockets, a bar on the terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from media.carrier.report import Progress

_OTHER_DESCRIPTORS = 64


def allow_descriptors(sockets: int) -> None:
    """Raise the soft limit of open files where there is a socket for each call or track."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = sockets + _OTHER_DESCRIPTORS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextlib.contextmanager
def progress_bar(total: int) -> Iterator[Progress]:
    """Show a bar where somebody can see it: on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("sending"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("sending", total=total)
        yield lambda sent: bar.update(task, completed=sent)
