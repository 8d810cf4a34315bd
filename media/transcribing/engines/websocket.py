"""A speech service by WebSocket, in the protocol of Deepgram's live transcription; see `listen_protocol`.

It was run against a scripted server that speaks as the documentation says, not against Deepgram itself.

The network is the business of one thread with an event loop; recognizers only leave things with it and take things
from it, so that one process serves many calls.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit

from media.transcribing.contract import Pcm, Recognizer, Result, TranscriptionError
from media.transcribing.engines.listen_protocol import CLOSE, ListenProtocol
from media.transcribing.remote import RemoteOptions
from strep.clock import Clock, SystemClock
from strep.errors import ConfigurationError, WireError

URL = "wss://api.deepgram.com/v1/listen"
KEY_VARIABLE = "DEEPGRAM_API_KEY"
OPEN_TIMEOUT_S = 5.0
TURN_S = 0.2
"""How often keep-alives and the end of waiting are looked at."""
FIRST_PAUSE_S, MOST_PAUSE_S = 0.25, 10.0
MAX_MESSAGE_BYTES = 1 << 20
REMOTE = (
    "language", "model", "smart_format", "punctuate", "numerals", "profanity_filter", "redact", "keywords", "keyterm",
    "diarize", "filler_words", "endpointing",
)  # fmt: skip
"""What of the query anybody may ask for; of the others some have the service send what it hears to any address."""
_REFUSALS = {
    400: "does not take these options",
    401: "refuses the key",
    402: "wants to be paid",
    403: "refuses the key",
}


class WebSocketEngine:
    """See `Engine`.

    Args:
        url: of the service.
        key: sent as ``Authorization: Token KEY``; unless given, Deepgram's own URL gets that of the variable
            ``DEEPGRAM_API_KEY``, and no other.
        query: what else goes into the query: ``model=nova-3``, ``language=en-US``, ``smart_format=true``, ...
    """

    sample_rate_hz = 0  # the service is told
    remote_options: ClassVar[RemoteOptions] = dict.fromkeys(REMOTE)

    def __init__(self, url: str = URL, key: str = "", *, clock: Clock | None = None, **query: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ConfigurationError(f"transcribe: websocket:url={url}: is not ws://HOST or wss://HOST")
        self.key = key or (os.environ.get(KEY_VARIABLE, "") if url == URL else "")
        if not self.key and url == URL:
            raise ConfigurationError(
                f"transcribe: websocket needs a key for {parts.hostname}: set {KEY_VARIABLE}; for another service "
                "give url=wss://..."
            )
        self.url, self.clock = url, clock or SystemClock()
        self._query = {"interim_results": "true", **query}
        self._loop: asyncio.AbstractEventLoop | None = None

    def load(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="speech-service", daemon=True).start()

    def open(self, sample_rate_hz: int) -> Recognizer:
        """Return a recognizer; it connects when there is speech."""
        assert self._loop is not None
        query = {"encoding": "linear16", "sample_rate": str(sample_rate_hz), "channels": "1", **self._query}
        return WebSocketRecognizer(self, f"{self.url}?{urlencode(query)}", sample_rate_hz, self._loop)

    def refusal(self, status: int) -> str:
        """Return what it means that the service answers with this."""
        what = _REFUSALS.get(status, "")
        return f"{urlsplit(self.url).hostname} {what} (HTTP {status})" if what else ""


class WebSocketRecognizer(Recognizer):
    """One track."""

    def __init__(self, engine: WebSocketEngine, url: str, rate_hz: int, loop: asyncio.AbstractEventLoop) -> None:
        self._engine, self._url, self._loop = engine, url, loop
        self._lock = threading.Lock()  # of these three
        self._protocol = ListenProtocol(rate_hz)
        self._results: deque[Result] = deque()
        self._error = ""
        self._trouble = ""
        self._is_closing = False
        self._changed = asyncio.Event()
        self._task = asyncio.run_coroutine_threadsafe(self._run(), loop)

    # -- the engine's thread -----------------------------------------------------------------------------

    def accept(self, pcm: Pcm) -> Sequence[Result]:
        """See `Recognizer.accept`."""
        with self._lock:
            self._protocol.give(pcm)
            is_lost = self._protocol.dropped_samples > 0
        self._loop.call_soon_threadsafe(self._changed.set)
        if is_lost:
            raise TranscriptionError(f"no connection to {urlsplit(self._url).hostname} for too long: {self._trouble}")
        return self.poll()

    def finish(self) -> Sequence[Result]:
        """See `Recognizer.finish`; what is final comes later."""
        with self._lock:
            self._protocol.finish()
        self._loop.call_soon_threadsafe(self._changed.set)
        return self.poll()

    def poll(self) -> Sequence[Result]:
        """See `Recognizer.poll`."""
        with self._lock:
            if self._error:
                raise TranscriptionError(self._error)
            came, self._results = list(self._results), deque()
        return came

    @property
    def is_settled(self) -> bool:
        """See `Recognizer.is_settled`."""
        with self._lock:
            return self._protocol.is_settled and not self._results and not self._error

    def close(self) -> None:
        """See `Recognizer.close`."""
        self._loop.call_soon_threadsafe(self._begin_close)

    # -- the event loop ----------------------------------------------------------------------------------

    def _begin_close(self) -> None:
        self._is_closing = True
        self._changed.set()

    async def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._is_over():
            await self._changed.wait()
            self._changed.clear()
            if self._is_over() or not self._protocol.has_something_to_say:
                continue
            began_ns = self._engine.clock.now_ns()
            try:
                await self._connect()
            except Exception as error:  # of the network, or of who is there: it may be better next time
                self._fail(error)
            lived_s = (self._engine.clock.now_ns() - began_ns) / 1e9
            pause_s = FIRST_PAUSE_S if lived_s > MOST_PAUSE_S else min(pause_s * 2, MOST_PAUSE_S)
            if not self._is_over():
                await asyncio.sleep(pause_s)
                self._changed.set()

    def _is_over(self) -> bool:
        return self._is_closing or bool(self._error)

    def _fail(self, error: Exception) -> None:
        response: Any = getattr(error, "response", None)  # of websockets.InvalidStatus
        refusal = self._engine.refusal(response.status_code) if response is not None else ""
        self._trouble = str(error) or repr(error)
        with self._lock:
            self._error = refusal

    async def _connect(self) -> None:
        from websockets.asyncio.client import connect

        headers = {"Authorization": f"Token {self._engine.key}"} if self._engine.key else {}
        async with connect(
            self._url, additional_headers=headers, open_timeout=OPEN_TIMEOUT_S, max_size=MAX_MESSAGE_BYTES
        ) as socket:
            with self._lock:
                self._protocol.connected(self._engine.clock.now_ns())
            receiving = asyncio.create_task(self._receive(socket))
            try:
                await self._send(socket, receiving)
            finally:
                with self._lock:
                    self._protocol.disconnected()
                receiving.cancel()
                await asyncio.gather(receiving, return_exceptions=True)

    async def _send(self, socket: Any, receiving: asyncio.Task[None]) -> None:
        """Send what is due until the connection breaks, which raises, or the track is closed."""
        while not self._is_closing:
            now_ns = self._engine.clock.now_ns()
            with self._lock:
                self._protocol.poll(now_ns)
                messages = self._protocol.to_send(now_ns)
            for message in messages:
                await socket.send(message)
            changed = asyncio.ensure_future(self._changed.wait())
            await asyncio.wait((changed, receiving), timeout=TURN_S, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
            self._changed.clear()
            if receiving.done():
                receiving.result()
                raise ConnectionError("the service closed the connection")
        await socket.send(CLOSE)

    async def _receive(self, socket: Any) -> None:
        async for message in socket:
            with self._lock:
                try:
                    self._results += self._protocol.receive(message)
                except WireError as error:
                    self._trouble = str(error)  # one bad message; if there are only such, nothing is ever final
