"""`LiveCall`: a call as an application has it, and the whole of the public API for talking back.

::

    async def greet(call: LiveCall) -> None:
        await (await call.play("hello.wav")).wait()
        async for event in call.events():
            if event["event"] == "dtmf":
                await call.clear()
                await call.speak(f"You pressed {event['digit']}.")


    async with Server(config, app=greet) as server:
        await server.wait_closed()

Everything is called in the server's event loop. What waits for an application is bounded: one that is too slow loses
the oldest events (`LiveCall.dropped_events`) and audio (its blocks' positions leave a gap), and harms no other call.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from media.events.bus import Told
from media.events.kinds import Event
from media.sinks.contract import CallInfo
from media.talk.contract import PlaybackError, Wire
from media.talk.detections import Detections
from media.talk.gathers import Gathers
from media.talk.handle import MAX_VOLUME_DB, MIN_VOLUME_DB, Heard, Playback, PlaybackControl, label_of, name_of
from media.talk.listening import ListenSink
from media.talk.mailbox import Broadcast
from media.talk.marks import check_name
from media.talk.noise import Denoisable
from media.talk.office import Office
from media.talk.playout import Playout
from media.talk.questions import Questions
from media.talk.recording import Recordable
from media.talk.sources import open_source
from media.talk.telling import tell_of
from media.talk.transcription import Transcribable
from media.talk.voice import Voice
from media.voices.contract import check_text
from media.voices.plugins import load_voices
from strep.errors import UsageError

logger = logging.getLogger("strep.talk")

MAX_EVENTS = 1000
"""Events that may wait for an application."""


class LiveCall(Questions, PlaybackControl, Recordable, Transcribable, Denoisable):
    """One call, from its first frame to its end.

    Attributes:
        info: as the sinks have it.
        call_id: as recordings and logs have it.
        identity: what the carrier said of the call: from, to, tags, custom_parameters, ...
        door: "ws", "strep" or "rtp"; only a WebSocket goes both ways.
        dialect: of its WebSocket, "" for other doors.
        dropped_events: events that `events` was too slow for.
        publish: tells everybody an event of the call.
    """

    def __init__(self, info: CallInfo, office: Office, listening: ListenSink) -> None:
        self.info, self.call_id, self.identity, self.door = info, info.call_id, info.identity, info.door
        self.publish: Callable[[Event], object] = partial(office.publish, info)
        self.dialect = ""
        self._clock, self._timer, self._hearing = office.clock, office.timer, listening.begin(info)
        self._gathers, self._detections = Gathers(self, office), Detections(self, office)
        self._playout: Playout | None = None
        self._why_not = f"nothing can be played into this call: it came by the {info.door} door, which goes one way"
        self._hang_up: Callable[[], None] | None = None
        self._reason: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._events: Broadcast[dict[str, Any]] = Broadcast(MAX_EVENTS)

    def __repr__(self) -> str:
        """Return its id."""
        return f"<LiveCall {self.call_id}>"

    # -- speaking ------------------------------------------------------------------------------------

    @property
    def can_play(self) -> bool:
        """Whether `play` has a chance; if not, it says why."""
        return self._playout is not None and not self.has_ended

    @property
    def why_not(self) -> str:
        """Why nothing can be played; "" if it can."""
        return "" if self.can_play else "the call has ended" if self.has_ended else self._why_not

    @property
    def plays(self) -> list[Playback]:
        """What plays and waits, in the order of its sounding; then what lies over it."""
        return [voice.handle for voice in self._playout.player.voices] if self._playout is not None else []

    @property
    def has_ended(self) -> bool:
        """Whether the call is over, so that nothing can be heard or played any more."""
        return self._reason.done()

    async def play(
        self,
        source: Any,
        *,
        rate_hz: int | None = None,
        loop: int = 1,
        volume_db: float = 0.0,
        overlay: bool = False,
        denoise: bool = False,
    ) -> Playback:
        """Play something behind what is queued, or over it; return when it is queued.

        Args:
            source: whatever `media.talk.sources.open_source` takes: a path, a URL, the bytes of an audio file, an
                array, a `pydub.AudioSegment`, an async iterator of PCM.
            rate_hz: of an array or of raw PCM.
            loop: how often to play it; 0 is for ever.
            volume_db: -40 to 40; 0 is as it is.
            overlay: mix it over what plays, instead of queueing it.
            denoise: suppress noise in it.

        Raises:
            PlaybackError: it cannot be played, or not into this call; one line that says why.
            ValueError: an option out of range.
        """
        playout = self._both_ways()
        if loop < 0 or not MIN_VOLUME_DB <= volume_db <= MAX_VOLUME_DB:
            raise ValueError(f"loop={loop}, volume_db={volume_db}: loop is 0 or more, the volume -40 to 40 dB")
        if loop != 1 and isinstance(source, AsyncIterable):
            raise PlaybackError("an iterator of PCM can be played only once: loop=1; collect an array to repeat it")
        rate = playout.player.sample_rate_hz
        opened = await open_source(source, rate, rate_hz=rate_hz, denoise=denoise)
        try:
            self._both_ways()
            handle = Playback(rate, name_of(source))
            tell_of(self, handle, source, overlay=overlay)
            playout.add(Voice(opened, handle, loop=loop, volume_db=volume_db, is_overlay=overlay), self)
        except BaseException:
            opened.close()
            raise
        self._attend()
        return handle

    async def speak(
        self, text: str, *, engine: str = "espeak-ng", voice: str | None = None, language: str = "en-US", **play: Any
    ) -> Playback:
        """Say `text`; the other options are those of `play`.

        Raises:
            PlaybackError: no text, more than 3,000 characters, a language or voice that there is not, or as `play`.
            ConfigurationError: there is no such engine, see `media.voices.plugins`.
        """
        self._both_ways()
        speech = await load_voices(engine).speak(check_text(text), language, voice)
        try:
            handle = await self.play(speech, rate_hz=speech.rate_hz, **play)
        except BaseException:
            await speech.aclose()
            raise
        handle.label, handle.kind = label_of(text), "speak"
        return handle

    async def send_dtmf(self, digits: str, *, duration_ms: int = 250, pause_ms: int = 100, **play: Any) -> Playback:
        """Press keys by their tones; the other options are those of `play`.

        Args:
            digits: 0-9, *, #, A-D; w is a pause of half a second, W of a whole one.
            duration_ms: of each key, 40 to 5,000.
            pause_ms: behind each, 40 to 5,000.

        Raises:
            PlaybackError: as `play`.
            ValueError: no digits, other characters, a duration out of range, or more than a minute of it all.
        """
        from media.talk.keypad import key_tones

        rate_hz = self._both_ways().player.sample_rate_hz
        tones = await asyncio.to_thread(key_tones, digits, duration_ms, pause_ms, rate_hz)
        handle = await self.play(tones, rate_hz=rate_hz, **play)
        handle.kind = "keys"
        return handle

    async def clear(self) -> list[Heard]:
        """Fall silent: cut off all plays, here and at the carrier, and return what of each was really heard."""
        if self._playout is None:
            return []
        heard = self._playout.clear(self._clock.now_ns())
        self._attend()
        return heard

    async def mark(self, name: str) -> bool:
        """Wait until everything that is queued now has been played; False: it was cut off instead.

        Raises:
            PlaybackError: nothing can be played into this call.
            ValueError: a name that is empty, too long, one of ours, or no text.
        """
        check_name(name)
        came: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        playout = self._both_ways()
        mark = playout.mark(name, lambda was_played: None if came.done() else came.set_result(was_played))
        self._attend()
        try:
            return await came
        except asyncio.CancelledError:
            playout.drop_mark(mark)
            raise

    def _both_ways(self) -> Playout:
        if self.has_ended:
            raise PlaybackError("the call has ended")
        if self._playout is None:
            raise PlaybackError(self._why_not)
        return self._playout

    def _attend(self) -> None:
        if self._playout is not None:
            self._timer.touch(self._playout)

    # -- hearing -------------------------------------------------------------------------------------

    def events(self) -> AsyncIterator[dict[str, Any]]:
        """Iterate over what happens in the call, until it ends.

        That is what the carrier says (dtmf, mark, error) and what is heard (``--detect``): each `Told.to_json` of
        `media.events.bus`. The first iterator begins with what came before it was made.
        """
        return self._events.items()

    @property
    def dropped_events(self) -> int:
        """Events that iterators now open were too slow for."""
        return self._events.dropped

    # -- its end -------------------------------------------------------------------------------------

    async def hang_up(self) -> None:
        """End the call, and close the stream's sockets.

        Raises:
            UsageError: there is none.
        """
        if self._hang_up is None:
            raise UsageError("there is no socket to close: this call came by a door that goes one way")
        self._hang_up()

    async def ended(self) -> str:
        """Wait for the end of the call; return its reason: stop, closed, hang_up, idle, shutdown."""
        return await asyncio.shield(self._reason)

    # -- for handles (`PlaybackControl`) -------------------------------------------------------------

    def pause(self, voice: Voice) -> None:
        """See `Playback.pause`."""
        if self._playout is not None:
            self._playout.pause(voice, self._clock.now_ns())
            self._attend()

    def resume(self, voice: Voice) -> None:
        """See `Playback.resume`."""
        if self._playout is not None:
            self._playout.resume(voice)
            self._attend()

    def stop(self, voice: Voice) -> None:
        """See `Playback.stop`."""
        if self._playout is not None:
            self._playout.stop(voice, self._clock.now_ns())
            self._attend()

    def refresh(self, voice: Voice) -> None:
        """See `Playback.volume_db`."""
        if self._playout is not None:
            self._playout.refresh()
            self._attend()

    # -- for the server ------------------------------------------------------------------------------

    def settle(self) -> None:
        """Take note that the application has begun: it listens by now, or to what comes when it does."""
        self._hearing.settle()

    def connect(self, playout: Playout | None, why_not: str, dialect: str) -> None:
        """Go both ways by `playout`, or tell `why_not`."""
        self._playout, self._why_not, self.dialect = playout, why_not, dialect

    def attach(self, wire: Wire, hang_up: Callable[[], None]) -> None:
        """Go on by this socket."""
        self._hang_up = hang_up
        if self._playout is not None:
            self._playout.attach(wire, self._clock.now_ns())
            self._attend()

    def detach(self) -> None:
        """Wait for another socket."""
        if self._playout is not None:
            self._playout.detach(self._clock.now_ns())
            self._attend()

    def give_up(self, error: Exception) -> None:
        """Play nothing any more, for sending raised `error`; the call goes on."""
        logger.error("call %s cannot be played to any more", self.call_id, exc_info=error)
        self._why_not = f"sending to this call failed: {error!r}"
        playout, self._playout = self._playout, None
        if playout is not None:
            playout.give_up(PlaybackError(self._why_not))

    def take_event(self, event: dict[str, Any], now_ns: int) -> None:
        """Act on what the carrier says; the application learns of it as of all events, by `tell`."""
        if self._playout is not None:
            if warning := self._playout.take_event(event, now_ns):
                logger.warning("call %s: %s", self.call_id, warning)
            self._attend()

    def tell(self, told: Told) -> None:
        """Let `events` have what happened, and who asked for it."""
        self._events.put(told.to_json(in_full=True))
        self._take(told)

    def end(self, reason: str) -> None:
        """Take note that the call is over."""
        if self.has_ended:
            return
        self._reason.set_result(reason)
        loop = asyncio.get_running_loop()
        for close in (partial(self._stop_asking, reason), self._events.close):  # behind what was told before
            loop.call_soon(close)
        if self._playout is not None:
            self._timer.remove(self._playout)
            self._playout.close(self._clock.now_ns())


Application = Callable[[LiveCall], Awaitable[None]]
"""What `Server(config, app=...)` runs for every call."""
