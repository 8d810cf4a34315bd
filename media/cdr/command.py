"""Shell: ``strep cdr``, which brings the call records of files into a database."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from media.cdr.database import RecordDatabase
from media.cdr.options import parse_database
from media.cdr.record import CallRecord
from media.cdr.writer import write_each
from media.cli import examples
from strep.errors import ConfigurationError

BATCH = 500


_EPILOG = examples(
    "What a database has missed, and what was written before there was one:",
    "  strep cdr calls.jsonl --database sqlite:///calls.db",
    "The file of a day, into PostgreSQL; the password is in nobody's list of processes:",
    "  STREP_CDR_DATABASE=postgresql+psycopg://USER:PASSWORD@HOST/calls strep cdr calls-2026-01-31.jsonl",
)


@click.command(epilog=_EPILOG, context_settings={"max_content_width": 100})
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--database", required=True, metavar="URL", envvar="STREP_CDR_DATABASE", help="As --cdr-database of strep serve."
)
def cdr(files: tuple[Path, ...], database: str) -> None:
    """Insert the call records in FILES (strep serve --cdr) into a database; what it has already is left out."""
    try:
        place = RecordDatabase(parse_database(database))
    except ValueError as error:
        raise ConfigurationError(f"--database: what is given {error}") from None
    found = refused = strange = 0
    try:
        for file in files:
            records, bad = _records(file)
            strange += bad
            for first in range(0, len(records), BATCH):
                refused += write_each(place, records[first : first + BATCH], 0)
            found += len(records)
    except OSError as error:
        raise click.ClickException(str(error)) from error
    finally:
        place.close()
    click.echo(f"{found - refused} call records are in the database, {refused} refused, {strange} lines are none")
    if refused or strange:
        raise SystemExit(1)


def _records(file: Path) -> tuple[list[CallRecord], int]:
    """Return the records in a file, and how many of its lines are none."""
    records, bad = [], 0
    for line in file.read_bytes().splitlines():
        try:
            records.append(msgspec.json.decode(line, type=CallRecord))
        except msgspec.DecodeError:
            bad += 1
    return records, bad
