"""Shell: ``strep calls``."""

from __future__ import annotations

import json
from typing import Any

import click

from media.cli import examples
from media.terminal.client import Door, server_options
from media.terminal.printable import printable

QUIET_MS = 2000
"""A call of which nothing comes for longer may be over: a fork over UDP does not say so."""


_EPILOG = examples(
    "Ids alone; those of which packets were lost:",
    "  strep calls | cut -f 1",
    "  strep calls --json | jq -r '.[] | select(any(.tracks[]; .never_arrived > 0)) | .call_id'",
    "Of another machine, where the server has a token:",
    "  STREP_HTTP_TOKEN=secret strep calls --url http://media.example.com:9080",
)


@click.command(epilog=_EPILOG, context_settings={"max_content_width": 100})
@click.option("--json", "as_json", is_flag=True, help="Everything the server says, as JSON.")
@server_options
def calls(as_json: bool, url: str, token: str) -> None:
    """List the live calls of a server: id, seconds, rate, tracks, packets lost, and for how long it has
    been quiet if that is more than two seconds, separated by tabs."""
    found = Door(url, token).calls()
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for call in found:
        click.echo("\t".join(_row(call)))


def _row(call: dict[str, Any]) -> list[str]:
    tracks, rate_hz = call["tracks"], call["sample_rate_hz"]
    seconds = max((track["length_samples"] for track in tracks), default=0) / rate_hz
    lost = sum(track["never_arrived"] for track in tracks)
    directions = "+".join(track["direction"] for track in tracks) or "none"
    row = [printable(call["call_id"]), f"{seconds:.1f} s", f"{rate_hz} Hz", directions, f"{lost} lost"]
    quiet_ms = min((track["quiet_ms"] for track in tracks), default=0)
    return [*row, f"quiet {quiet_ms / 1000:.0f} s"] if quiet_ms > QUIET_MS else row
