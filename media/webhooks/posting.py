"""Shell: the HTTP client of webhooks: one POST, bounded in time and in what is read of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

from media.webhooks.outbox import Outcome, outcome_of
from strep import __version__
from strep.clock import NS_PER_SECOND
from strep.errors import ConfigurationError

CONNECT_TIMEOUT_S = 2.0
"""With the name found and TLS spoken; who takes longer is unreachable, and has not been sent anything."""
TIMEOUT_S = 5.0
"""For all of a POST; Telnyx gives receivers 2 s."""
MAX_ANSWER_BYTES = 16 << 10
"""An answer's body is read so far, for the connection to be used again; a longer one ends the connection."""
MAX_DELAY_NS = 86_400 * NS_PER_SECOND
HEADERS = {"Content-Type": "application/json", "User-Agent": f"strep/{__version__}"}
NOT_INSTALLED = "webhooks need the package aiohttp: pip install '/path/to/strep[webhooks]'"


@dataclass(frozen=True, slots=True)
class Answer:
    """How a POST went.

    Attributes:
        outcome: for the outbox.
        retry_after_ns: how long the receiver wants to be left alone, 0 if it did not say.
        detail: for the log: the status, or what went wrong.
    """

    outcome: Outcome
    retry_after_ns: int = 0
    detail: str = ""


class Poster(Protocol):
    """Who posts."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, wall_ns: int) -> Answer:
        """Post `body` at `wall_ns`; raises nothing."""

    async def close(self) -> None:
        """Close all connections."""


class HttpPoster:
    """Posts with aiohttp. Redirects are not followed, certificates are verified, proxies and cookies not used."""

    def __init__(self, connect_timeout_s: float = CONNECT_TIMEOUT_S, timeout_s: float = TIMEOUT_S) -> None:
        """Open a pool of connections in the running event loop.

        Raises:
            ConfigurationError: aiohttp is not installed.
        """
        aiohttp = import_aiohttp()
        self._session = aiohttp.ClientSession(
            headers=HEADERS,
            timeout=aiohttp.ClientTimeout(total=timeout_s, connect=connect_timeout_s),
            connector=aiohttp.TCPConnector(limit=0),  # the outbox has its bound
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        self._connection_errors = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
        self._errors = (aiohttp.ClientError, TimeoutError, OSError, ValueError)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, wall_ns: int) -> Answer:
        """See `Poster`."""
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                outcome = outcome_of(answer.status)
                retry_after_ns = parse_retry_after(answer.headers.get("Retry-After", ""), wall_ns)
                await self._read_out(answer)
                return Answer(outcome, retry_after_ns, f"HTTP {answer.status}")
        except self._connection_errors as error:
            return Answer(Outcome.UNREACHABLE, detail=_reason(error))
        except self._errors as error:
            return Answer(Outcome.FAILED, detail=_reason(error))

    async def _read_out(self, answer: Any) -> None:
        """Read a short body to its end; whatever happens on the way, the status has been said."""
        try:
            await answer.content.readexactly(MAX_ANSWER_BYTES)
        except EOFError:
            return
        except self._errors:
            pass
        answer.close()

    async def close(self) -> None:
        """See `Poster`."""
        await self._session.close()


def import_aiohttp() -> Any:
    """Return the module.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import aiohttp
    except ImportError:
        raise ConfigurationError(NOT_INSTALLED) from None
    return aiohttp


def parse_retry_after(text: str, wall_ns: int) -> int:
    """Return the ns from `wall_ns` on that a Retry-After header asks for (RFC 9110 10.2.3); 0 if it says nothing."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:10]) * NS_PER_SECOND, MAX_DELAY_NS)
    try:
        wanted_ns = round(parsedate_to_datetime(text).timestamp() * NS_PER_SECOND)
    except (ValueError, OverflowError):
        return 0
    return min(max(wanted_ns - wall_ns, 0), MAX_DELAY_NS)


def _reason(error: Exception) -> str:
    """Return what went wrong for logs: aiohttp puts the URL into many texts, and with it what is secret of it."""
    import aiohttp

    name = type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"{name}: {error}"  # host and port
    if isinstance(error, aiohttp.ClientResponseError):
        return f"{name}: {error.message}"
    return name
