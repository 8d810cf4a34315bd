"""Where carriers can put a token: in a header, in the path, in the query, or in the first frames.

Telnyx sends ``stream_auth_token`` as the header x-telnyx-streaming-auth-token, SignalWire its
``authorization_bearer_token`` as Authorization: Bearer. Twilio can set no header and drops the query, but gives the
path and ``customParameters``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from media.admission.tokens import MAX_CHARACTERS, MIN_CHARACTERS

AUTH_HEADER = "x-telnyx-streaming-auth-token"
QUERY = "token"
PARAMETERS = frozenset({"token", "auth_token", "stream_auth_token", AUTH_HEADER})
"""Names of start parameters that are tokens, and are kept nowhere."""
HIDDEN = "***"


class Shown(NamedTuple):
    """The tokens of a request.

    Attributes:
        plain: where nothing but a token stands; if there are any and none is good, the request is refused.
        perhaps: parts of the path that are long enough for one.
    """

    plain: tuple[str, ...]
    perhaps: tuple[str, ...]


def of_request(path: str, header: Iterable[str], authorization: Iterable[str]) -> Shown:
    """Return the tokens of a request, from its path with query and the values of its two headers."""
    bearers = [text[7:].strip() for text in authorization if text[:7].lower() == "bearer "]
    route, _, query = path.partition("?")
    asked = [unquote(value) for name, _, value in (part.partition("=") for part in query.split("&")) if name == QUERY]
    segments = [unquote(part) for part in route.split("/") if MIN_CHARACTERS <= len(part) <= MAX_CHARACTERS]
    return Shown((*header, *bearers, *asked), tuple(segments))


def without_tokens(path: str) -> str:
    """Return a request's path for a log: without its query's values, and without what may be a token."""
    route, _, query = path.partition("?")
    shown = "/".join(map(_unless_long, route.split("/")))
    names = "&".join(f"{_unless_long(part.partition('=')[0])}={HIDDEN}" for part in query.split("&")) if query else ""
    return f"{shown}?{names}" if names else shown


def _unless_long(part: str) -> str:
    return HIDDEN if len(part) >= MIN_CHARACTERS else part


def of_parameters(identity: dict[str, Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Take the tokens out of the custom parameters of what a start frame says; return them, and what is left."""
    parameters = identity.get("custom_parameters")
    if not isinstance(parameters, Mapping):
        return (), identity
    tokens = tuple(text for name, text in parameters.items() if name in PARAMETERS and isinstance(text, str))
    kept = {name: value for name, value in parameters.items() if name not in PARAMETERS}
    return tokens, identity | {"custom_parameters": kept}
