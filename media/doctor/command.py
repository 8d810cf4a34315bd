"""Shell: ``strep doctor``, a look at the machine before the server runs there, or beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from media.captures.tables import console
from media.cli import FAILED, OK
from media.doctor.check import Level, examine, worst
from media.doctor.checks import CHECKS
from media.doctor.demand import Demand
from media.doctor.kernel import Kernel
from media.doctor.readings import read
from media.doctor.show import as_json, show
from media.handover.room import USUAL_CALLS
from media.option import PREFIX
from media.option_command import SectionedCommand, option_parameters
from media.runtime import count_cores
from media.settings import CONFIG_VARIABLE, Settings, load
from strep.clock import SystemClock

DOORS = ("udp", "rtp", "ws")
USUAL = {"udp": "0.0.0.0:9000", "record": "recordings"}
"""What is looked at where nothing says what the server is to do."""

_EPILOG = """\b
Examples:
  Is this machine fit for a server that records 500 calls?
    strep doctor --udp 0.0.0.0:9000 --record /var/lib/strep/recordings --calls 500
  For the one that a file configures:
    strep doctor --config strep.toml
  For a program: the worst level, and each finding with what to do:
    strep doctor --json

It changes nothing: ports are bound for a moment, and a file without a name is written to the disk of the
recordings to see how fast that is. Beside a server that runs it tells of that one's ports and drops.

\b
Exit codes:
  0    nothing is in the way, though there may be advice
  1    there are problems
  2    an option or configuration that cannot be, as in `strep serve`
"""


@click.command(
    cls=SectionedCommand,
    params=option_parameters(),
    epilog=_EPILOG,
    context_settings={"max_content_width": 100},
)
@click.option(
    "--calls", type=click.IntRange(1, 1_000_000), metavar="N", help="Calls at once.  [default: --max-calls, or 100]"
)
@click.option("--json", "as_document", is_flag=True, help="Print one JSON object.")
def doctor(config: Path | None, calls: int | None, as_document: bool, **flags: Any) -> None:
    """Look whether this machine is fit for what a server is to do here, and say what to type where it is not.

    Takes the options of `strep serve`, from the same places; without any it looks for a server that records calls
    from UDP port 9000.
    """
    out = console()
    is_usual = not _says_doors(flags, os.environ, config)
    usual = _usual(flags, os.environ) if is_usual else {}
    settings = load(flags | usual, os.environ, config)
    demand = _demand(settings, calls)
    facts = read(demand, SystemClock(), Kernel(), dict(os.environ))
    findings = list(examine(facts, demand, CHECKS))
    if as_document:
        click.echo(json.dumps(as_json(findings, demand.calls), indent=1))
    else:
        if is_usual:
            told = {"udp": settings.server.udp, "record": settings.server.record}
            out.print("For: strep serve " + " ".join(f"--{name} {value}" for name, value in told.items()))
        show(findings, demand.calls, out)
    click.get_current_context().exit(FAILED if worst(findings) is Level.PROBLEM else OK)


def _says_doors(flags: Mapping[str, Any], environment: Mapping[str, str], config: Path | None) -> bool:
    told = any(flags.get(name) or environment.get(PREFIX + name.upper()) for name in DOORS)
    return told or config is not None or bool(environment.get(CONFIG_VARIABLE))


def _usual(flags: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    """Return of what is usual that which nobody says."""
    told = {name for name in USUAL if flags.get(name) or environment.get(PREFIX + name.upper())}
    return {name: value for name, value in USUAL.items() if name not in told}


def _demand(settings: Settings, calls: int | None) -> Demand:
    workers = settings.processes.workers or count_cores()
    return Demand(settings.server, settings.processes, calls or settings.server.max_calls or USUAL_CALLS, workers)
