"""Shell: ``strep tap``, a client of the HTTP door of a server that runs."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

import click
import msgspec

from media.cli import EXIT_CODES, INTERRUPTED, Refusal
from media.feed.selection import NEXT_CALL, Selection, SelectionError
from media.feed.weaving import Weaver
from media.feed.wire import PcmMessage, parse
from media.terminal.client import ANY_CALL, TIMEOUT_S, base_of, refusal_of, server_options, unreachable
from media.terminal.completion import CALL_ID
from strep.errors import WireError

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection
    from websockets.frames import Close

MOST_WAITING = 500
"""Messages that wait here with drop-oldest: 10 s of one track in blocks of 20 ms."""
CLOSE_TIMEOUT_S = 1.0
"""For the server's answer when we leave: nobody waits for what it says."""
OK, TOO_SLOW = 1000, 1008
"""Codes with which a server closes, RFC 6455 section 7.4.1."""
_TAP_EPILOG = (
    """\b
Examples:
  Both tracks of the next call that starts, into a WAV file:
    strep tap any | sox -t raw -r 8000 -e signed -b 16 -c 2 - out.wav
  What the caller says, at 16 kHz, through a FIFO:
    mkfifo caller; my-recogniser < caller &
    strep tap any --track inbound --rate 16000 > caller
  A call that is going on; `strep calls` lists them:
    strep tap 5b0f3f0e-3c5d-4e0e-9c39-2f9a6b1d7c10 | aplay -f S16_LE -r 8000 -c 2

\b
Samples are raw, little-endian, from where the call was when the tap began. With
both tracks they are interleaved, inbound first, by their place in the call: the
two are never shifted. Where there is nothing there is silence. What reads too
slowly is cut off after 5 seconds, or loses the oldest (--when-slow drop-oldest).

"""
    + EXIT_CODES
)


@click.command(epilog=_TAP_EPILOG, context_settings={"max_content_width": 100})
@click.argument("call", type=CALL_ID)
@click.option("--track", default="both", show_default=True, metavar="both|inbound|outbound", help="Whose voice.")
@click.option(
    "--rate", default="native", show_default=True, metavar="HZ", help="8000, 16000, 24000, or the call's own."
)
@click.option(
    "--format", "form", default="int16", show_default=True, metavar="int16|float32|mulaw", help="Of samples."
)
@click.option(
    "--when-slow", type=click.Choice(["disconnect", "drop-oldest"]), default="disconnect", show_default=True,
    help="What becomes of a reader that does not keep up.",
)  # fmt: skip
@server_options
def tap(call: str, track: str, rate: str, form: str, when_slow: str, url: str, token: str) -> None:
    """Write the audio of CALL, while it goes on, to standard output.

    CALL is an id, or any (or -), which is the next call that starts. On standard error it says when it listens, and,
    to a terminal, how far it is.
    """
    try:
        selection = Selection.of({"track": track, "rate": rate, "format": form})
    except SelectionError as error:
        raise Refusal(str(error)) from error
    if sys.stdout is None or sys.stdout.isatty():
        raise Refusal(
            "raw samples are not for a terminal; write them to a program or a file: strep tap any | sox ..."
        )
    wish = {"track": track, "rate": rate, "format": form, "when_slow": when_slow}
    name = NEXT_CALL if call in ANY_CALL else quote(call, safe="")
    # http becomes ws, and https wss
    target = f"ws{base_of(url).removeprefix('http')}/v1/calls/{name}/pcm?{urlencode(wish)}"
    try:
        asyncio.run(_Tap(selection, token, drops=when_slow == "drop-oldest").run(target))
    except BrokenPipeError:  # who reads has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


class _Tap:
    """One run of ``strep tap``."""

    def __init__(self, selection: Selection, token: str, *, drops: bool) -> None:
        # Who reads slowly is the server's business, which sees it by what we do not read. If the oldest are to go we
        # drop them ourselves: the server would miss answers to its pings.
        self._drops, self._waiting = drops, asyncio.Queue[bytes | None](MOST_WAITING if drops else 1)
        self._weaver = Weaver(selection.tracks)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._shows = sys.stderr is not None and sys.stderr.isatty()
        self._shown_s = -1
        self._dropped_messages = 0

    async def run(self, target: str) -> None:
        """Connect, and write until the call or the server ends."""
        from websockets.asyncio.client import connect
        from websockets.exceptions import InvalidHandshake, InvalidStatus

        try:
            async with connect(
                target, additional_headers=self._headers, compression=None, max_size=None, proxy=None,
                open_timeout=TIMEOUT_S, close_timeout=CLOSE_TIMEOUT_S,
            ) as socket:  # fmt: skip
                closed = await self._follow(socket)
        except InvalidStatus as error:
            raise refusal_of(bytes(error.response.body or b""), error.response.status_code) from error
        except InvalidHandshake as error:
            raise click.ClickException(f"{urlsplit(target).netloc} speaks no WebSocket: {error}") from error
        except (OSError, TimeoutError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            raise click.ClickException(unreachable(target, error)) from error
        self._tell("\n" if self._shows else "")
        if self._dropped_messages:
            click.echo(f"{self._dropped_messages} messages dropped: silence", err=True)
        if closed is None or closed.code != OK:
            why = "the connection broke" if closed is None else closed.reason or f"closed with {closed.code}"
            hint = "; --when-slow drop-oldest goes on instead" if closed and closed.code == TOO_SLOW else ""
            raise click.ClickException(f"{why}{hint}")

    async def _follow(self, socket: ClientConnection) -> Close | None:
        """Read and write, each at its pace; return what the server closed with, when all is written."""
        reading, writing = asyncio.create_task(self._read(socket)), asyncio.create_task(self._write_all())
        try:
            await asyncio.wait({reading, writing}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()  # a mistake has nothing behind it to be written
            await writing
            return await reading
        finally:
            for task in (reading, writing):
                task.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)

    async def _read(self, socket: ClientConnection) -> Close | None:
        from websockets.exceptions import ConnectionClosed

        try:
            while True:
                message = await socket.recv()
                if isinstance(message, str):
                    self._note(message)
                    continue
                if self._drops and self._waiting.full():
                    self._waiting.get_nowait()
                    self._dropped_messages += 1
                await self._waiting.put(message)
        except ConnectionClosed as error:
            await self._waiting.put(None)
            return error.rcvd

    async def _write_all(self) -> None:
        while (message := await self._waiting.get()) is not None:
            try:
                parsed = parse(message)
                pieces = self._weaver.take(parsed)
            except (WireError, ValueError) as error:
                raise click.ClickException(
                    f"the server sends something else than audio of one call: {error}"
                ) from error
            await self._write(pieces)
            self._show(parsed)
        await self._write(self._weaver.finish())

    def _note(self, message: str) -> None:
        news = msgspec.json.decode(message)
        match news.get("event"):
            case "subscribed":
                click.echo("listening", err=True)
            case "call_started":
                click.echo(f"call {news['call_id']}, {news['sample_rate_hz']} Hz", err=True)
            case "dropped":
                self._dropped_messages += news["messages"]

    async def _write(self, pieces: Iterable[bytes]) -> None:
        """Write, in another thread: who reads slowly must not keep us from answering pings."""
        for piece in pieces:
            await asyncio.to_thread(_write_all, piece)

    def _show(self, message: PcmMessage) -> None:
        seconds = self._weaver.written_samples // message.sample_rate_hz
        if seconds != self._shown_s:
            self._shown_s = seconds
            dropped = f", {self._dropped_messages} messages dropped" if self._dropped_messages else ""
            self._tell(f"\r{seconds} s at {message.sample_rate_hz} Hz{dropped} ")

    def _tell(self, text: str) -> None:
        if self._shows and text:
            sys.stderr.write(text)
            sys.stderr.flush()


def _write_all(piece: bytes) -> None:
    while piece:
        piece = piece[os.write(sys.stdout.fileno(), piece) :]
