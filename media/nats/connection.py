"""Shell: one connection to a NATS server, from connect to close, by nats-py; never repaired, but replaced."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from media.nats.answers import Answer, parse_answer
from media.nats.config import ServerOptions, places
from media.nats.message import MAX_BODY_BYTES
from media.nats.outbox import Shipment
from media.nats.stream import differences
from strep.errors import ConfigurationError

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

CONNECT_TIMEOUT_S = 5
REQUEST_TIMEOUT_S = 5.0
PING_INTERVAL_S = 5
"""A server that does not answer to three of these is given up."""
PENDING_BYTES = 32 << 20
"""Of nats-py's buffer; more than may be under way, so that it never fills."""
_NO_STREAM = 10059
_FULL_HINT = "give STREP other options for the stream, change it with `nats stream edit`, or name another one"


class NatsError(Exception):
    """The server cannot be used now; the text says why. It is tried again."""


class Connection:
    """A connection with its inbox.

    Attributes:
        is_closed: it is of no use any more.
    """

    def __init__(self, client: Client, stream: str, said: list[str]) -> None:
        self._client = client
        self._stream = stream
        self._inbox = client.new_inbox()
        self._question = f"$JS.API.STREAM.MSG.GET.{stream}"
        self._said = said

    @classmethod
    async def open(
        cls,
        server: ServerOptions,
        config: dict[str, Any],
        answered: Callable[[int, Answer], None],
        closed: Callable[[], None],
    ) -> Connection:
        """Connect, and create the stream or see that it fits.

        Args:
            server: which.
            config: of the stream.
            answered: takes the number of a shipment and the answer to it.
            closed: called when the connection has broken.

        Raises:
            NatsError: there is no server, it does not let us in, or its stream does not fit.
        """
        said: list[str] = []
        client = _new_client()
        connection = None
        try:
            await _connect(client, server, said, closed)
            if client.max_payload < MAX_BODY_BYTES:
                raise NatsError(f"max_payload is {client.max_payload}, less than {MAX_BODY_BYTES}")
            connection = cls(client, config["name"], said)
            await connection.ensure_stream(config)
            await connection._listen(answered)
        except BaseException:
            await _close(client)
            raise
        return connection

    @property
    def is_closed(self) -> bool:
        """Whether it has broken."""
        return not self._client.is_connected

    async def ensure_stream(self, config: dict[str, Any]) -> None:
        """Create the stream, or see that the one that is there fits.

        Raises:
            NatsError: it does not, or it cannot be created.
        """
        name = config["name"]
        info = await self._ask(f"STREAM.INFO.{name}", {}, may_fail=_NO_STREAM)
        if "config" not in info:
            await self._ask(f"STREAM.CREATE.{name}", config)
            return
        wrong = differences(config, info["config"])
        if wrong:
            raise NatsError(f"stream {name} does not fit: {'; '.join(wrong)}: {_FULL_HINT}")

    async def stream_info(self) -> dict[str, Any]:
        """Return what the server tells of the stream: ``config``, ``state``, ``ts``."""
        return await self._ask(f"STREAM.INFO.{self._stream}", {})

    async def _ask(self, what: str, request: dict[str, Any], may_fail: int = 0) -> dict[str, Any]:
        import nats.errors

        try:
            reply = await self._client.request(f"$JS.API.{what}", json.dumps(request).encode(), REQUEST_TIMEOUT_S)
        except nats.errors.NoRespondersError:
            raise NatsError("JetStream is off in this server or account (nats-server -js)") from None
        except (nats.errors.Error, TimeoutError) as error:
            raise NatsError(f"no answer to {what}: {_last(self._said, error)}") from None
        answer: dict[str, Any] = json.loads(reply.data)
        refusal = answer.get("error")
        if refusal and refusal.get("err_code") != may_fail:
            raise NatsError(f"{what}: {refusal.get('description')} ({refusal.get('err_code')})")
        return answer

    async def _listen(self, answered: Callable[[int, Answer], None]) -> None:
        async def take(message: Msg) -> None:
            status = message.headers.get("Status", "") if message.headers else ""
            number = int(message.subject.rpartition(".")[2])
            answered(number, parse_answer(message.data, status))

        await self._client.subscribe(f"{self._inbox}.*", cb=take)

    async def send(self, shipments: Sequence[Shipment]) -> None:
        """Hand shipments to nats-py, which writes them in this order; never waits for the server.

        Raises:
            NatsError: the connection has broken.
        """
        import nats.errors

        publish, inbox = self._client.publish, self._inbox
        try:
            for shipment in shipments:
                message, reply = shipment.message, f"{inbox}.{shipment.number}"
                if shipment.is_question:
                    await publish(self._question, json.dumps({"last_by_subj": message.subject}).encode(), reply)
                else:
                    await publish(message.subject, message.body, reply, {"Nats-Msg-Id": message.message_id})
        except (nats.errors.Error, OSError) as error:
            raise NatsError(f"cannot send: {_last(self._said, error)}") from None

    def why_closed(self) -> str:
        """Return what was last heard of trouble."""
        return _last(self._said, self._client.last_error)

    async def close(self) -> None:
        """Close; what was not answered stays unanswered."""
        await _close(self._client)


def check_installed() -> None:
    """Do nothing, if nats-py is installed.

    Raises:
        ConfigurationError: it is not.
    """
    if find_spec("nats") is None:
        raise ConfigurationError("nats: needs the extra nats: pip install '/path/to/strep[nats]'")


def _new_client() -> Client:
    """Return a client that does not speak in the clear where TLS was asked for.

    nats-py takes the server's word: a server that does not ask for TLS gets the password of a ``tls://`` URL in the
    clear. It reads the server's INFO before it sends anything, and there this steps in.
    """
    from nats.aio.client import Client
    from nats.errors import Error

    class TlsWhereAsked(Client):
        async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
            server = self._current_server
            if (
                server is not None
                and server.uri.scheme == "tls"
                and not info.get("tls_required")
                and initial_connection
            ):
                raise Error("the server does not offer TLS, and the URL says tls://")
            await super()._process_info(info, initial_connection)

    return TlsWhereAsked()


async def _connect(client: Client, server: ServerOptions, said: list[str], closed: Callable[[], None]) -> None:
    import nats.errors

    async def hear(error: Exception) -> None:
        said.append(_text(error))
        del said[:-5]

    async def hear_closed() -> None:
        closed()

    try:
        await client.connect(
            list(server.urls),
            error_cb=hear,
            closed_cb=hear_closed,
            disconnected_cb=hear_closed,
            name="strep",
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=CONNECT_TIMEOUT_S,
            ping_interval=PING_INTERVAL_S,
            pending_size=PENDING_BYTES,
            user_credentials=str(server.credentials) if server.credentials else None,
        )
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise NatsError(f"cannot connect to {places(server.urls)}: {_last(said, error)}") from None
    except ImportError:
        raise NatsError("credentials need the package nkeys: pip install 'nats-py[nkeys]'") from None


def _last(said: list[str], error: Exception | None) -> str:
    """Return the last thing heard that says something."""
    heard = [*said, *([_text(error)] if error else [])]
    plain = [text for text in heard if "no servers available" not in text]
    return plain[-1] if plain else "no server answers"


def _text(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error).removeprefix("nats: ") or type(error).__name__


async def _close(client: Client) -> None:
    with contextlib.suppress(Exception):  # it is of no use any more, whatever it says
        await asyncio.wait_for(client.close(), REQUEST_TIMEOUT_S)
