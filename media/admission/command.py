"""Shell: ``strep token``, which makes tokens for media streams."""

from __future__ import annotations

from pathlib import Path

import click

from media import formats
from media.admission.tokens import MIN_CHARACTERS, new_token, sign
from strep.clock import NS_PER_SECOND, SystemClock
from strep.errors import ConfigurationError

_EPILOG = """\b
Examples:
  A token for one carrier, kept in a file that only you can read:
    (umask 077; strep token > tokens.txt); strep serve --ws :9001 --ws-token-file tokens.txt
  One for a single call, good for ten minutes; whoever has the key can make more without asking the server:
    (umask 077; strep token > key.txt); strep serve --ws :9001 --ws-key-file key.txt
    strep token --key-file key.txt --valid 10m
\b
A media stream shows its token as stream_auth_token (Telnyx), as authorization_bearer_token (SignalWire), in the path
(wss://media.example.com/twilio/TOKEN), or as the custom parameter token.
"""


@click.command(epilog=_EPILOG)
@click.option(
    "--key-file", type=click.Path(path_type=Path), help="Sign with the key in this file; see --ws-key-file."
)
@click.option("--valid", default="10m", show_default=True, metavar="DURATION", help="How long a signed one is good.")
def token(key_file: Path | None, valid: str) -> None:
    """Make a token that lets media streams in: one that stays good, or a signed one for one stream."""
    if key_file is None:
        click.echo(new_token())
        return
    try:
        seconds = formats.seconds(1, 366 * 86_400).parse(valid)
        key = key_file.read_text(encoding="utf-8").split()
    except ValueError as error:
        raise click.UsageError(f"--valid: {valid!r} {error}") from None
    except OSError as error:
        raise click.UsageError(f"--key-file: cannot read {key_file}: {error.strerror}") from None
    if not key or len(key[0]) < MIN_CHARACTERS:
        raise ConfigurationError(f"--key-file: {key_file} has no key; `strep token > {key_file}` makes one")
    now_s = SystemClock().wall_ns() // NS_PER_SECOND
    click.echo(sign(key[0].encode(), now_s + round(seconds)))
