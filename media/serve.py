"""Shell: ``strep serve``, the server on the command line: options in, one line out when ready, signals to end it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from media.alarms.reconciliation import reconcile
from media.cli import EXIT_CODES, INTERRUPTED, MISUSED, Refusal, reason_of
from media.config import ProcessConfig
from media.handover.activation import assign, take_sockets
from media.handover.notify import READY, STOPPING, notify, watchdog
from media.logs import logging_to
from media.option_command import SectionedCommand, option_parameters
from media.runtime import count_cores, freeze_heap, loop_factory, shorten_turns
from media.settings import Settings, load

if TYPE_CHECKING:
    from media.metrics.totals import Totals

_LOG = logging.getLogger("strep.serve")
Given = Mapping[str, Sequence[socket.socket]]
"""Sockets that systemd has passed, by door."""

_EPILOG = (
    """\b
Examples:
  Record what a carrier forks to port 9000 of any address of this machine:
    strep serve --udp 0.0.0.0:9000 --record recordings
  Media streams too, and two taps that send plain RTP:
    strep serve --udp :9000 --ws :9001 --rtp lab=4000,4001 --rtp office=4010,4011
  With a process per core, and counters for Prometheus on port 9100:
    strep serve --udp 0.0.0.0:9000 --record recordings --workers 0 --metrics :9100
  Media streams from anywhere, of carriers that show a token:
    strep token > tokens.txt
    strep serve --ws 0.0.0.0:9001 --ws-token-file tokens.txt --record recordings
  Let an application talk with callers, on streams that Telnyx was asked for with mode rtp:
    strep serve --ws :9001 --app parrot --playback rtp
  A function of your own, greet in greeter.py here, and each call recorded:
    strep serve --ws :9001 --app greeter:greet --record recordings
  Take over from the process that runs, in mid-call, as often as you like:
    strep serve --udp 0.0.0.0:9000 --record recordings --hand-over /run/strep/hand-over
  Options from a file, and from the environment:
    strep serve --config strep.toml
    STREP_UDP=:9000 STREP_RTP="lab=4000,4001;office=4010,4011" strep serve

\b
Every option --some-thing is also the variable STREP_SOME_THING and the key
some_thing in the file, in a table [serve] or at the top. Flags go before
variables, variables before the file. Durations are written 30s, 500ms, 2m
(a bare number is seconds), sizes 16MiB.

\b
When it can receive it prints one line on standard output, with the ports
that the system chose where 0 was given:
  ready {"udp": "127.0.0.1:9000", "ws": "127.0.0.1:9001"}
SIGTERM or SIGINT (Ctrl-C) ends it: no call begins any more, those that there
are have --drain-timeout to end, then they are ended and all files finished. A
second one ends them at once, a third leaves files unfinished.

"""
    + EXIT_CODES
)


@click.command(
    cls=SectionedCommand, params=option_parameters(), epilog=_EPILOG, context_settings={"max_content_width": 100}
)
def serve(config: Path | None, **flags: Any) -> None:
    """Receive calls, record them, and hand their audio to sinks, until a signal ends it.

    Give at least one door: --udp, --rtp or --ws.
    """
    if sys.stdout is None or sys.stderr is None:  # a socket would get its number, and what is printed
        closed = "output" if sys.stdout is None else "error"
        raise click.ClickException(f"standard {closed} is closed; to get rid of what is said there, use /dev/null")
    if sys.stdin is None:
        os.open(os.devnull, os.O_RDONLY)  # takes number 0, which uvloop would not close if a socket had it
    settings = load(flags, os.environ, config)
    with logging_to(sys.stderr, settings.log):
        for warning in settings.warnings:
            _LOG.warning(warning)
        try:
            for directory in settings.server.record, settings.server.takes:
                _try_directory(directory)
            passed, left = take_sockets(os.environ, os.getpid())
            given = assign(passed, settings.server)
            workers = count_workers(settings)
            with asyncio.Runner(loop_factory=loop_factory() if workers == 1 else None) as runner:
                runner.run(
                    _serve(settings, given, left) if workers == 1 else _supervise(settings, workers, given, left)
                )
        except OSError as error:
            raise click.ClickException(reason_of(error, settings.server)) from error


def count_workers(settings: Settings) -> int:
    """Return how many processes are to receive: no more than there are doors that cannot be shared."""
    wanted, config = settings.processes.workers or count_cores(), settings.server
    if config.udp is None and config.ws is None and len(config.rtp) < wanted:
        _LOG.warning("a pair of plain RTP ports needs one worker: there are fewer pairs than workers were asked for")
        return len(config.rtp)
    return wanted


async def _serve(settings: Settings, given: Given, left: Sequence[int]) -> None:
    from media.apps import load_app
    from media.handover.passing import running
    from media.handover.room import warn_of_small_buffers
    from media.metrics.totals import REPORT_INTERVAL_S, Totals
    from media.repeat import Repeater
    from media.server import Server
    from media.sinks.plugins import load_sink
    from media.sockets import BoundSockets

    config = settings.server
    app = load_app(config.app) if config.app else None
    sockets, path = BoundSockets.of_doors(given, [ports.name for ports in config.rtp]), settings.processes.hand_over
    if given:
        warn_of_small_buffers(sockets, config)
    server = Server(config, [partial(load_sink, name) for name in config.sinks], sockets=sockets, app=app)
    totals = Totals()
    end_on_signals(server.stop, drains=config.drain_timeout_s > 0)
    reports = Repeater(REPORT_INTERVAL_S, lambda: totals.report(0, server.snapshot()))
    with _metrics(settings.processes, totals, is_shared=path is not None) as metrics:
        async with running(server, path, left):
            totals.is_up[0] = True
            if metrics:
                reports.start()
            _say_ready(server.addresses | metrics)
            freeze_heap()
            shorten_turns()
            await server.wait_closed()
        reports.stop()
    ended = server.snapshot()
    _LOG.info("ended", extra=_summary(ended))
    _complain_about(server.unfinished_sinks, reconcile(ended).missing)


async def _supervise(settings: Settings, workers: int, given: Given, left: Sequence[int]) -> None:
    from media.handover.shelf import forget
    from media.workers.supervisor import Supervisor, WorkerError

    if settings.processes.hand_over is not None:
        raise Refusal(
            f"hand_over: there are {workers} workers, and one process hands over to one: give --workers 1; or leave "
            "out hand_over and let systemd hold the sockets (deploy/systemd): what comes waits there in a restart"
        )
    forget(left)
    supervisor = Supervisor(settings.server, settings.log, workers, given)
    end_on_signals(supervisor.stop, supervisor.abandon, drains=settings.server.drain_timeout_s > 0)
    with _metrics(settings.processes, supervisor.totals) as metrics:
        try:
            async with supervisor:
                _say_ready(supervisor.addresses | metrics)
                await supervisor.wait_closed()
        except WorkerError as error:
            raise (Refusal if error.exit_code == MISUSED else click.ClickException)(str(error)) from error
    books = _summary(supervisor.totals.snapshot())
    _LOG.info("ended", extra=books | {"calls_unaccounted": supervisor.unaccounted_calls})
    if supervisor.broken:
        raise click.ClickException(f"died while ending, files may be incomplete: {', '.join(supervisor.broken)}")
    _complain_about(supervisor.unfinished_sinks, supervisor.missing_recordings)


@contextmanager
def _metrics(processes: ProcessConfig, totals: Totals, *, is_shared: bool = False) -> Iterator[dict[str, str]]:
    """Serve the metrics if that is wanted; yield where, for the line that says ready."""
    if processes.metrics is None:
        yield {}
        return
    from media.metrics.families import families
    from media.metrics.http import serving

    with serving(processes.metrics, lambda: families(totals), processes.metrics_token, is_shared=is_shared) as where:
        yield {"metrics": str(where)}


def _say_ready(addresses: dict[str, Any]) -> None:
    """Say that it can receive, on standard output and to systemd."""
    click.echo(f"ready {json.dumps(addresses)}")
    sys.stdout.flush()
    notify(READY)
    if (alive := watchdog()) is not None:
        alive.start()


def _complain_about(unfinished: list[str], missing_recordings: int) -> None:
    from media.server import SINK_STOP_TIMEOUT_S

    if unfinished:
        names = ", ".join(unfinished)
        raise click.ClickException(f"not finished within {SINK_STOP_TIMEOUT_S:g} s, files may be incomplete: {names}")
    if missing_recordings:
        raise click.ClickException(f"{missing_recordings} calls have no recording; the log says more")


def end_on_signals(
    stop: Callable[[], None], abandon: Callable[[], None] = lambda: None, *, drains: bool = False
) -> None:
    """Let the first SIGTERM or SIGINT call `stop`, and the second one `abandon` and end the process on the spot.

    If it `drains`, the second calls `stop` again, to end calls at once, and the third leaves.
    """
    loop = asyncio.get_running_loop()
    told = ["ending: finishing all files; a second signal leaves them"]
    if drains:
        told = ["ending: no new calls; a second signal ends those that there are", told[0].replace("second", "third")]

    def receive(number: signal.Signals) -> None:
        if not told:
            abandon()
            os.write(2, b"interrupted again: files are left unfinished\n")
            os._exit(INTERRUPTED)
        _LOG.info(told.pop(0), extra={"signal": number.name})
        notify(STOPPING)
        stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, receive, number)


def _try_directory(directory: Path | None) -> None:
    """Make the directory of the recordings and write into it: better now than with the first call.

    Raises:
        OSError: it cannot be made, or not written to.
    """
    if directory is None:
        return
    from media.sinks.naming import make_directory

    try:
        make_directory(directory)
        with tempfile.TemporaryFile(dir=directory) as probe:
            probe.write(b"strep")
    except OSError as error:
        raise OSError(error.errno, f"cannot write recordings to {directory}: {error.strerror}") from error


def _summary(totals: dict[str, Any]) -> dict[str, Any]:
    """Return the line of the end: calls, packets by door, what was refused and why, what was lost where."""
    doors: dict[str, dict[str, Any]] = totals["doors"]
    rejected: dict[str, int] = {}
    for door in doors.values():
        for reason, count in door.get("rejected", {}).items():
            rejected[reason] = rejected.get(reason, 0) + count
    recordings = [sink["details"] for sink in totals["sinks"] if sink["name"] == "recording"]
    books = reconcile(totals)
    return {
        "calls": books.calls,
        "calls_unaccounted": books.unaccounted,
        "packets": {name: door.get("datagrams", door.get("messages", 0)) for name, door in doors.items()},
        "rejected": rejected,
        "kernel_drops": totals["kernel_drops"],
        "conservation_errors": totals["conservation_errors"],
        "recordings_finished": books.finished,
        "recordings_handed_over": books.handed_over,
        "recordings_missing": books.missing,
        "recordings_failed": sum(details.get("failed", 0) for details in recordings),
        "sidecars_failed": sum(details.get("sidecar_errors", 0) for details in recordings),
    }
