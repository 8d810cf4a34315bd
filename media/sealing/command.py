"""Shell: ``strep keygen``, which makes a key, and ``strep unseal``, which opens what was sealed for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import click
import msgspec

from media.cli import examples
from media.sealing.age import NoKeyFits
from media.sealing.keys import NOT_INSTALLED, make_identity, read_identities
from media.sealing.opening import Opened
from media.sealing.records import SUFFIX, Damaged
from strep.clock import SystemClock
from strep.errors import ConfigurationError

UNFINISHED, DAMAGED = 3, 4
_MOST_LINES = 20
_DAMAGE = ".damage.json"
_KEYGEN_EPILOG = examples(
    "On the machine where recordings are listened to; then, where they are made, with what was printed:",
    "  strep keygen private.key",
    "  strep serve --udp :9000 --record recordings --encrypt-to age1...",
)
_EPILOG = """\b
Examples:
  Open a recording, beside it, or into another program:
    strep unseal CALL.wav.sealed --key private.key
    strep unseal CALL.wav.sealed --key private.key -o - | soxi -
    strep unseal CALL.wav.sealed --key private.key -o - | flac - -o CALL.flac
\b
Exit codes:
  0  all of it was verified and written
  1  nothing was written: no key fits, the file is none of ours, or cannot be read; with --strict also if it was
     altered
  2  a command that cannot be
  3  written up to where the file ends, and its end is missing: the recorder died, or it was cut
  4  what was verified is written, with silence in place of what was not: a machine lost its power while it was being
     recorded, or it was altered; standard error and OUT.damage.json say where
"""


@click.command(epilog=_KEYGEN_EPILOG, context_settings={"max_content_width": 100})
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def keygen(file: Path) -> None:
    """Make a private key in FILE, unless it is there, and show the public key.

    FILE opens all that is sealed for it, and without it nobody does: keep it, and a copy, away from the server. The
    public key that is printed is for `strep serve --encrypt-to`. Both are X25519 keys of age.
    """
    try:
        try:
            identities = [make_identity(file, SystemClock().wall_ns())]
        except FileExistsError:
            identities = read_identities(file)
        for identity in identities:
            click.echo(identity.recipient)
    except ImportError:
        raise ConfigurationError(NOT_INSTALLED) from None
    except OSError as error:
        raise click.ClickException(f"cannot write {file}: {error.strerror}") from error


@click.command(epilog=_EPILOG)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--key",
    "keys",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="File with the private key; of strep keygen or age-keygen. Repeatable.",
)
@click.option(
    "-o", "--output", metavar="OUT", help="Where to write, FILE without .sealed by default; - is standard output."
)
@click.option("--about", is_flag=True, help="Show what is sealed beside the audio, JSON: whose it is, keys pressed.")
@click.option("--strict", is_flag=True, help="Write nothing of a file that is damaged or was altered.")
def unseal(file: Path, keys: tuple[Path, ...], output: str | None, about: bool, strict: bool) -> None:
    """Open a sealed recording, take, transcript or file of events: all of it is verified, then written."""
    if output is None and not about and not file.name.endswith(SUFFIX):
        raise click.UsageError(f"{file.name} does not end in {SUFFIX}: say with -o where to write")
    identities = [identity for path in keys for identity in read_identities(path)]
    try:
        with Opened(file, identities) as opened:
            _tell_damage(file, opened)
            if strict and opened.damage:
                raise click.ClickException(f"{file}: nothing was written")
            if about:
                for document in opened.about():
                    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))
            else:
                target = output or str(file.with_name(file.name.removesuffix(SUFFIX)))
                if opened.damage and target != "-":
                    _write([_list_of_damage(file, opened)], f"{target}{_DAMAGE}")
                _write(opened.chunks(), target)
            is_finished = _is_finished(file, opened)
    except ImportError:
        raise ConfigurationError(NOT_INSTALLED) from None
    except NoKeyFits as error:
        raise click.ClickException(
            f"{file}: {error}: it was sealed for another one, or its beginning was altered"
        ) from None
    except Damaged as error:
        written = "what was written already is not to be trusted" if output == "-" else "nothing was written"
        raise click.ClickException(f"{file}: {error}; {written}") from None
    except OSError as error:
        where = error.filename or output or file.with_name(file.name.removesuffix(SUFFIX))
        raise click.ClickException(f"{where}: {error.strerror}") from None
    if opened.damage:
        click.get_current_context().exit(DAMAGED)
    if not is_finished:
        click.get_current_context().exit(UNFINISHED)


def _tell_damage(file: Path, opened: Opened) -> None:
    for damage in opened.damage[:_MOST_LINES]:
        click.echo(f"{file}: {damage.text(opened.sample_rate_hz)}", err=True)
    if len(opened.damage) > _MOST_LINES:
        click.echo(f"{file}: and in {len(opened.damage) - _MOST_LINES} more places", err=True)


def _list_of_damage(file: Path, opened: Opened) -> bytes:
    """Return the document beside an opened file of which not all is what was written."""
    told = {"file": file.name, "sample_rate_hz": opened.sample_rate_hz or None, "damage": opened.damage}
    return msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n"


def _is_finished(file: Path, opened: Opened) -> bool:
    """Return whether the end is there, and say so if it is not."""
    if opened.is_uncut:
        return True
    length = "" if opened.is_text else f" after {opened.length_samples / opened.sample_rate_hz:.2f} s"
    click.echo(f"{file}: unfinished: it ends{length}, and its last record is missing or cut", err=True)
    return False


def _write(chunks: Iterable[bytes], target: str) -> None:
    """Write to a new file, which only its owner may read, or to standard output.

    Raises:
        OSError: it cannot be written, or is there.
    """
    if target == "-":
        try:
            for chunk in chunks:
                sys.stdout.buffer.write(chunk)
            sys.stdout.flush()
        except BrokenPipeError:  # who reads has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
    except BaseException:
        with suppress(OSError):
            os.unlink(target)
        raise
