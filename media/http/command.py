"""Shell: ``strep openapi``: the description of the HTTP interface, for clients that are made from it."""

from __future__ import annotations

import click
import msgspec

from media.cli import examples
from strep.errors import ConfigurationError

_EPILOG = examples(
    "A client of it in another language, made by a generator of yours:",
    "  strep openapi > strep.json",
    "Which paths there are:",
    "  strep openapi | jq -r '.paths | keys[]'",
)


@click.command(epilog=_EPILOG, context_settings={"max_content_width": 100})
def openapi() -> None:
    """Print what --http serves as OpenAPI 3.1; a running server has it at /openapi.json."""
    try:
        from media.http.openapi import document
    except ImportError as error:
        raise ConfigurationError(
            f"the interface is described by what serves it ({error}); pip install '/path/to/strep[http]'"
        ) from error
    click.echo(msgspec.json.format(msgspec.json.encode(document()), indent=2))
