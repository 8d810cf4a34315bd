"""Shell: ``strep keys``, which makes the key that signs webhooks and shows its public half."""

from __future__ import annotations

from pathlib import Path

import click

from media.cli import examples
from media.webhooks.signing import make_key, read_key

_EPILOG = examples(
    "Sign webhooks; the receiver is given what the first line prints:",
    "  strep keys webhook.pem",
    "  strep serve --ws :9001 --webhook https://example.com/calls --webhook-key webhook.pem",
)


@click.command(epilog=_EPILOG, context_settings={"max_content_width": 100})
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def keys(file: Path) -> None:
    """Make an Ed25519 private key in FILE, unless it is there, and show the public key.

    FILE is for `strep serve --webhook-key`; keep it to yourself. Receivers of webhooks verify them with the line that
    is printed, base64 of 32 bytes, as Telnyx's console shows it (TELNYX_PUBLIC_KEY).
    """
    try:
        try:
            signer = make_key(file)
        except FileExistsError:
            signer = read_key(file)
    except OSError as error:
        raise click.ClickException(f"cannot write {file}: {error.strerror}") from error
    click.echo(signer.public_key)
