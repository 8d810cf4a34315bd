"""Shell: ``strep inspect`` and ``strep replay``, packet captures on the command line."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click
import msgspec

from media import formats
from media.captures import inspect as inspection
from media.captures import replay as replaying
from media.captures.census import Census
from media.captures.layers import Address
from media.captures.reader import CaptureReader
from media.captures.schedule import Routes, Schedule, choose_routes
from media.captures.summary import summarize
from media.captures.tables import console, show
from media.carrier.pacing import Instant, RealTime
from media.config import Endpoint, RtpPorts
from strep.clock import NS_PER_SECOND, SystemClock
from strep.errors import ConfigurationError, WireError

if TYPE_CHECKING:  # a generic class since click 8.2, and only there to be subscripted
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType


class FormatParameter(_ParamType):
    """A value written as in the server's options; see `media.formats`."""

    def __init__(self, written: formats.Format) -> None:
        self.name = written.metavar
        self._parse = written.parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value, or say what is wrong with it."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)


def _parse_target(text: str) -> Address:
    endpoint: Endpoint = formats.parse_endpoint(text)
    if endpoint.port == 0:
        raise ValueError("has port 0, to which nothing can be sent")
    return endpoint.host, endpoint.port


def _parse_mapping(text: str) -> tuple[int, Address]:
    port, equals, target = text.partition("=")
    if not equals:
        raise ValueError("is not OLDPORT=HOST:PORT, like 9000=127.0.0.1:9100")
    return formats.parse_port(port.strip()), _parse_target(target)


_PORT = click.IntRange(1, 65_535)
_TARGET = FormatParameter(formats.Format("HOST:PORT", _parse_target))
_MAPPING = FormatParameter(formats.Format("OLDPORT=HOST:PORT", _parse_mapping))
_CAPTURE = click.Path(path_type=Path, dir_okay=False, exists=True)

INSPECT_EPILOG = """\b
Examples:
  Which calls are in a capture, and how good was the line?
    strep inspect calls.pcap
  Record on the server with tcpdump, look at it here, gap by gap:
    tcpdump -i any -w calls.pcap udp port 9000
    strep inspect calls.pcap --gaps
  The recordings that a server would have made, and the figures for a program:
    strep inspect calls.pcapng --wav recordings --json > calls.json
  Two ports of plain RTP that belong together, as for `strep serve --rtp`:
    strep inspect taps.pcap --rtp lab=4000,4001
  What was negotiated for dynamic payload types, which no packet says, as for `strep serve --payload-type`:
    strep inspect calls.pcap --payload-type 111=opus/48000 --payload-type 96=telephone-event

STREP is found by its header; plain RTP by three packets of one source, destination and SSRC in sequence. All
of it goes through the server's own code, at the times of the capture: a capture is a bug report that can be run.
"""

REPLAY_EPILOG = """\b
Examples:
  Send a capture's STREP to a server on this machine, with the capture's timing:
    strep replay calls.pcap --to 127.0.0.1:9000
  One call of it, ten times as fast, three times over:
    strep replay calls.pcap --to :9000 --only-call 7f3a1c52-c9d0-11f0-8e41-02420a5b6c7d --speed 10 --loop 3
  Plain RTP: the capture's first RTP destination to port 4000, its second one to port 4001:
    strep replay sip.pcap --rtp-to :4000 --rtp-to :4001
  Whatever went to port 30000, audio or not, and nothing else:
    strep replay all.pcap --map 30000=127.0.0.1:9000

Every sender in the capture gets a port of its own. A call that is sent again begins anew, as another epoch of
the same call, at a server that still has it.
"""


@click.command(epilog=INSPECT_EPILOG, context_settings={"max_content_width": 110})
@click.argument("file", type=_CAPTURE)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, every gap included.")
@click.option("--gaps", is_flag=True, help="List every gap with its time.")
@click.option(
    "--wav",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write a stereo WAV and a JSON of every call to this directory, as `strep serve --record`.",
)
@click.option("--udp", type=_PORT, multiple=True, metavar="PORT", help="STREP was sent to this port. Repeatable.")
@click.option(
    "--rtp",
    type=FormatParameter(formats.RTP_PORTS),
    multiple=True,
    metavar="NAME=RX,TX",
    help="Plain RTP was sent to this pair of ports, inbound and outbound of one call. Repeatable.",
)
@click.option(
    "--all",
    "any_payload_type",
    is_flag=True,
    help="Show plain RTP of all payload types, not only static and named ones. Times take 8 kHz for granted.",
)
@click.option(
    "--payload-type",
    type=FormatParameter(formats.PAYLOAD_TYPE),
    multiple=True,
    metavar=formats.PAYLOAD_TYPE.metavar,
    help="What an RTP payload type stands for, as in SDP; 101 is telephone-event. Repeatable.",
)
@click.option(
    "--reorder-wait",
    type=click.IntRange(0, 1000),
    default=inspection.InspectOptions().reorder_wait_ms,
    show_default=True,
    metavar="MS",
    help="A hole is given up so long after the packet behind it.",
)
@click.option(
    "--idle-timeout",
    type=FormatParameter(formats.seconds(0.1, 86_400)),
    default=f"{inspection.InspectOptions().idle_timeout_s:g}s",
    show_default=True,
    metavar="DURATION",
    help="A call ends when nothing was heard of it for so long; what comes later is another call.",
)
def inspect(
    file: Path, as_json: bool, gaps: bool, udp: tuple[int, ...], rtp: tuple[RtpPorts, ...], **given: Any
) -> None:
    """Show the calls in FILE, a pcap or pcapng capture: loss, jitter and gaps of every track."""
    options = inspection.InspectOptions(
        udp=frozenset(udp),
        rtp=rtp,
        any_payload_type=given["any_payload_type"],
        payload_types=given["payload_type"],
        reorder_wait_ms=given["reorder_wait"],
        idle_timeout_s=given["idle_timeout"],
        wav=given["wav"],
    )
    with _plain_errors(file), _progress_bar("reading") as on_progress:
        summary = summarize(str(file), inspection.inspect(file, options, on_progress))
    if as_json:
        click.echo(summary.to_json())
    else:
        show(summary, console(), gaps=gaps)
    for warning in summary.warnings:
        click.echo(f"warning: {warning}", err=True)


@click.command(epilog=REPLAY_EPILOG, context_settings={"max_content_width": 110})
@click.argument("file", type=_CAPTURE)
@click.option("--to", type=_TARGET, help="Send the capture's STREP here.")
@click.option("--rtp-to", type=_TARGET, multiple=True, help="Send plain RTP here, one destination each. Repeatable.")
@click.option(
    "--port",
    type=_PORT,
    multiple=True,
    metavar="PORT",
    help="Send to --to what was sent to this port, and nothing else. Repeatable.",
)
@click.option(
    "--map", "mapping", type=_MAPPING, multiple=True, help="Send what was sent to OLDPORT here. Repeatable."
)
@click.option("--only-call", type=click.UUID, metavar="ID", help="Send only STREP with this call_leg_id.")
@click.option("--all", "any_payload_type", is_flag=True, help="For --rtp-to: RTP of all payload types.")
@click.option("--speed", type=float, default=1.0, show_default=True, help="2 takes half the time.")
@click.option("--fast", is_flag=True, help="Wait for nothing.")
@click.option("--loop", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="Send it N times.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def replay(file: Path, fast: bool, loop: int, as_json: bool, **given: Any) -> None:
    """Send the UDP payloads of FILE, a pcap or pcapng capture, again, at the times they were captured.

    Say where to: --to for STREP, --rtp-to for plain RTP, --map for anything.
    """
    if given["to"] is None and not given["rtp_to"] and not given["mapping"]:
        raise click.UsageError("where to? Give --to, --rtp-to or --map.")
    if given["port"] and given["to"] is None:
        raise click.UsageError("--port says what goes to --to, which is missing")
    report, clock = replaying.ReplayReport(), SystemClock()
    with _plain_errors(file):
        schedule = Schedule(_routes(file, given), given["speed"])
        started_ns = clock.now_ns()
        with contextlib.suppress(KeyboardInterrupt), _progress_bar("sending") as on_progress:
            dues = replaying.rounds(file, schedule, loop, report, on_progress)
            asyncio.run(replaying.send(dues, Instant() if fast else RealTime(), report))
    duration_s = (clock.now_ns() - started_ns) / NS_PER_SECOND
    facts = replaying.describe(report, duration_s, is_paced=not fast)
    click.echo(msgspec.json.encode(facts) if as_json else "\n".join(replaying.lines(facts)))
    if report.warning:
        click.echo(f"warning: {report.warning}", err=True)


def _routes(file: Path, given: dict[str, Any]) -> Routes:
    census = Census(any_payload_type=given["any_payload_type"])
    call_leg_id: UUID | None = given["only_call"]
    with CaptureReader(file) as reader, _progress_bar("looking") as on_progress:
        for number, datagram in enumerate(reader):
            census.observe(datagram)
            if not number % inspection.BATCH:
                on_progress(reader.position_bytes, reader.size_bytes)
    return choose_routes(
        census,
        given["to"],
        rtp_to=given["rtp_to"],
        ports=given["port"],
        port_map=dict(given["mapping"]),
        call_leg_id=call_leg_id,
    )


@contextlib.contextmanager
def _plain_errors(file: Path) -> Iterator[None]:
    """Turn what people can do something about into one line."""
    try:
        yield
    except WireError as error:
        raise click.ClickException(f"{file}: {error}") from error
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{file}: {error}") from error


@contextlib.contextmanager
def _progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar where somebody can see it: on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
