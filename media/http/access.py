"""Who may use the HTTP door: whoever knows the token or, where there is none, programs of this machine.

A web page that a user of this machine looks at is none of them: browsers let any page open WebSockets to 127.0.0.1,
and a name that its owner points there (DNS rebinding) read what comes back. Both show in the request: such a page
names itself as Origin, such a name stands in Host.
"""

from __future__ import annotations

import base64
import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from media.config import Endpoint
from strep.errors import ConfigurationError

_BEARER = "Bearer "
SUBPROTOCOL = "strep.v1"
"""What a browser asks for beside its token; the answer has it, for browsers want one of those they named."""
TOKEN_SUBPROTOCOL = "strep.bearer."
"""Of WebSockets, before the token in base64url without padding: a browser can give them no other header."""


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a request is refused.

    Attributes:
        status: of HTTP: 401 or 403.
        code, message: for the one who asked.
    """

    status: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Access:
    """The rule.

    Attributes:
        token: what a request has to show; empty: none.
    """

    token: str = field(default="", repr=False)

    def denial(self, headers: Mapping[str, str]) -> Denial | None:
        """Return why a request with such headers is refused; None if it is not."""
        if self.token:
            if shows(headers.get("Authorization", ""), self.token) or names(headers, self.token):
                return None
            return Denial(401, "unauthorized", "send the token as the header: Authorization: Bearer TOKEN")
        host = headers.get("Host", "")
        if not is_loopback(host_of(host)):
            return Denial(403, "host", f"{host!r} is not this machine; serving others takes a token")
        origin = headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != host:
            return Denial(403, "origin", f"web pages of {origin} may not read calls; use a token")
        if headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):  # a picture or a form has no Origin
            return Denial(403, "origin", "another web page may not ask here; use a token")
        return None


def shows(authorization: str, token: str) -> bool:
    """Whether a header Authorization shows `token`, as RFC 6750 section 2.1 has it."""
    shown = authorization[len(_BEARER) :] if authorization[: len(_BEARER)].lower() == _BEARER.lower() else ""
    # In constant time: how far a guess is right must not show in how long it takes.
    return hmac.compare_digest(shown.encode("utf-8", "replace"), token.encode())


def names(headers: Mapping[str, str], token: str) -> bool:
    """Whether a WebSocket's handshake names `token` among its subprotocols, see `TOKEN_SUBPROTOCOL`."""
    if headers.get("Upgrade", "").lower() != "websocket":
        return False
    offered = (one.strip() for one in headers.get("Sec-WebSocket-Protocol", "").split(","))
    named = next((one[len(TOKEN_SUBPROTOCOL) :] for one in offered if one.startswith(TOKEN_SUBPROTOCOL)), "")
    known = base64.urlsafe_b64encode(token.encode()).rstrip(b"=")
    return hmac.compare_digest(named.encode("utf-8", "replace"), known)


def host_of(netloc: str) -> str:
    """Return the host of ``host``, ``host:port``, ``[v6]`` or ``[v6]:port``."""
    if netloc.startswith("["):
        return netloc[1:].partition("]")[0]
    return netloc.partition(":")[0]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_access(endpoint: Endpoint, token: str, name: str = "http", gets: str = "hears all calls") -> None:
    """Check that nobody opens something to a network by leaving something out.

    Args:
        endpoint: where it listens.
        token: what requests have to show there.
        name: of the option.
        gets: what whoever asks there does.

    Raises:
        ConfigurationError: others can reach `endpoint`, and there is no token.
    """
    if not token and not is_loopback(endpoint.host):
        raise ConfigurationError(
            f"{name}: {endpoint} can be reached from other machines, and whoever reaches it {gets}. Set a token "
            f"(variable STREP_{name.upper()}_TOKEN, or --{name}-token), or listen on 127.0.0.1"
        )
