"""Shell: `Door`, a client of the HTTP door of a server that runs, and what all commands that use one share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import click

from media.cli import Refusal

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from urllib.request import OpenerDirector

DEFAULT_URL = "http://127.0.0.1:9080"
ANY_CALL = ("-", "any")
TIMEOUT_S = 10.0
SILENCE_S = 60.0
"""A stream of events that says nothing for so long is dead: the server beats every 20 s."""
PAGE = 1000
"""Calls in one reply at the most; `media.http.calls.MAX_LIMIT`."""
NO_SUCH_CALL = 5
MAX_EVENT_BYTES = 1 << 22

F = TypeVar("F", bound=Callable[..., Any])


class ServerRefuses(click.ClickException):
    """The server answers with an error.

    Attributes:
        status: of HTTP.
        code: of the error, "" if it is no answer of ours.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Unreachable(click.ClickException):
    """No server answers, or it has ceased to."""


class NoSuchCall(click.ClickException):
    """No live call is meant."""

    exit_code = NO_SUCH_CALL


def server_options(command: F) -> F:
    """Add the options that say which server is asked, ``url`` and ``token``."""
    url = click.option(
        "--url",
        envvar="STREP_URL",
        default=DEFAULT_URL,
        show_default=True,
        help="Of the server (strep serve --http).",
    )
    token = click.option("--token", envvar="STREP_HTTP_TOKEN", default="", help="As --http-token of the server.")
    return url(token(command))


@dataclass
class Door:
    """A server's HTTP door.

    Attributes:
        url: of the server; a path in it is kept.
        token: what it wants to see, if it does.
        timeout_s: for an answer.
    """

    url: str = DEFAULT_URL
    token: str = ""
    timeout_s: float = TIMEOUT_S

    def get(self, path: str) -> Any:
        """Return what the server says at a path.

        Raises:
            Refusal: the URL is none.
            ServerRefuses, Unreachable: it says nothing of use.
        """
        return self._decode(path, None, {})

    def act(self, call_id: str, action: str, body: dict[str, Any]) -> dict[str, Any]:
        """Tell the server to do something to a call; return the answer's ``data``.

        Raises:
            Refusal, ServerRefuses, Unreachable: as of `get`.
        """
        import msgspec

        path = f"/v1/calls/{quote(call_id, safe='')}/actions/{action}"
        answer = self._decode(path, msgspec.json.encode(body), {"Content-Type": "application/json"})
        data: dict[str, Any] = answer["data"]
        return data

    def page(self, offset: int = 0, limit: int = PAGE) -> tuple[int, list[dict[str, Any]]]:
        """Return how many calls are live, and some of them."""
        reply = self.get(f"/v1/calls?limit={limit}&offset={offset}")
        return reply["total"], reply["calls"]

    def calls(self) -> list[dict[str, Any]]:
        """Return all live calls."""
        found: list[dict[str, Any]] = []
        while True:
            total, calls = self.page(len(found))
            found += calls
            if not calls or len(found) >= total:
                return found

    @contextmanager
    def events(self, calls: str = "*", kinds: Iterable[str] = ()) -> Iterator[Iterator[dict[str, Any]]]:
        """Yield the events from now on, of calls by pattern and of kinds by name (all, if there is none).

        They end when the server ends. Nothing that happens inside the block is missed.

        Raises:
            Refusal, ServerRefuses, Unreachable: as of `get`.
        """
        wish = {"calls": calls} | ({"events": ",".join(kinds)} if kinds else {})
        with self._open(f"/v1/events?{urlencode(wish)}", None, {}, SILENCE_S) as reply:
            yield self._each(reply)

    def _each(self, reply: HTTPResponse) -> Iterator[dict[str, Any]]:
        from http.client import HTTPException

        try:
            yield from parse_events(iter(lambda: reply.readline(MAX_EVENT_BYTES), b""))
        except (OSError, HTTPException) as error:
            raise Unreachable(f"{urlsplit(self.url).netloc} was lost: {reason_of(error)}") from error
        except ValueError as error:
            raise Unreachable(f"{urlsplit(self.url).netloc} sends something else than events: {error}") from error

    def _decode(self, path: str, body: bytes | None, headers: dict[str, str]) -> Any:
        import msgspec

        with self._open(path, body, headers, self.timeout_s) as reply:
            try:
                return msgspec.json.decode(reply.read())
            except (OSError, msgspec.DecodeError) as error:
                raise Unreachable(self._unreachable(error)) from error

    @contextmanager
    def _open(
        self, path: str, body: bytes | None, headers: dict[str, str], timeout_s: float
    ) -> Iterator[HTTPResponse]:
        from http.client import HTTPException
        from urllib.error import HTTPError
        from urllib.request import Request

        headers = headers | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        request = Request(base_of(self.url) + path, body, headers)
        try:
            reply: HTTPResponse = _opener().open(request, timeout=timeout_s)
        except HTTPError as error:
            with error:
                raise refusal_of(error.read(), error.code) from error
        except HTTPException as error:
            raise Unreachable(f"{urlsplit(self.url).netloc} speaks no HTTP: {error!r}") from error
        except (OSError, ValueError) as error:
            raise Unreachable(self._unreachable(error)) from error
        with reply:
            yield reply

    def _unreachable(self, error: Exception) -> str:
        return unreachable(self.url, error)


def parse_events(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the events of a stream of server-sent ones (HTML, section 9.2), each a JSON object.

    Raises:
        ValueError: what came is none.
    """
    import msgspec

    data: list[bytes] = []
    for line in lines:
        if not line.endswith(b"\n"):  # cut off, or without an end
            return
        text = line.rstrip(b"\r\n")
        if text.startswith(b"data:"):
            data.append(text[5:].removeprefix(b" "))
        elif not text and data:
            event = msgspec.json.decode(b"\n".join(data))
            data.clear()
            if not isinstance(event, dict):
                raise ValueError(f"{event!r} is no event")
            yield event


def base_of(url: str) -> str:
    """Return what the door's paths come behind.

    Raises:
        Refusal: it is no URL.
    """
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # a port or an IPv6 address that cannot be
        is_one = False
    if not is_one or "@" in parts.netloc or parts.query or parts.fragment:
        raise Refusal(f"--url is the server's, as in {DEFAULT_URL}, or https://...; for a password there is --token")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def refusal_of(body: bytes, status: int) -> ServerRefuses:
    """Return what a server says of a refusal."""
    import msgspec

    from media.terminal.printable import printable

    try:
        error = msgspec.json.decode(body)["error"]
        return ServerRefuses(status, str(error["code"]), printable(error["message"]))
    except (msgspec.DecodeError, KeyError, TypeError):
        message = f"the server answers with status {status}; is it that of strep serve --http?"
        return ServerRefuses(status, "", message)


def unreachable(url: str, error: Exception) -> str:
    """Return one line about a server that does not answer."""
    return f"cannot reach {urlsplit(url).netloc}: {reason_of(error)}; is strep serve --http running there?"


def reason_of(error: Exception) -> str:
    """Return why, in few words."""
    cause = getattr(error, "reason", None) or error
    return str(getattr(cause, "strerror", None) or cause) or "no answer"


@cache
def _opener() -> OpenerDirector:
    """Return what goes through no proxy of the environment and to no other address: the token is for the server."""
    from urllib.request import HTTPRedirectHandler, ProxyHandler, build_opener

    class Stay(HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    return build_opener(ProxyHandler({}), Stay())
