"""One socket's conversation with the carrier: frames in, calls to the host out; no I/O.

The shell's duty: give every message to `receive`, call `poll` at `deadline`, and `closed` once when the socket is
gone. When `receive` or `poll` return a `Close`, close the socket with it. What goes the other way it is given
through `Wire`, at any time.

Conservation: ``received == accepted + sum(rejected)``, after every call. Nothing raises out of this class.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

from media.admission.credentials import of_parameters
from media.admission.tokens import Verdict
from media.ws.closing import Close, close_with
from media.ws.description import DIRECTIONS, announced_tracks, detail_of, event, identity
from media.ws.dialects.choosing import Choice
from media.ws.dialects.dialect import Parser, TextParser
from media.ws.encodings import counter_of, encoding_of
from media.ws.express.seat import Boarding, Seat
from media.ws.host import Handshake, Judge, StreamHandle, StreamHost, StreamRefused, StreamStart
from media.ws.messages import (
    Connected,
    Dtmf,
    Error,
    Frame,
    Mark,
    Media,
    Start,
    StartWithMedia,
    Stop,
    UnknownEvent,
    ascii_excerpt,
    is_usable_stream_id,
    normalise_stream_id,
)  # fmt: skip
from media.ws.options import ConnectionOptions
from media.ws.reject import WsReject
from media.ws.snapshot import ConnectionSnapshot
from media.ws.states import MISPLACED, TRANSITIONS, State
from media.ws.wire import NoWire, Wire
from strep.clock import NEVER_NS, NS_PER_SECOND
from strep.errors import WireError

logger = logging.getLogger(__name__)

MAX_DETAIL_CHARACTERS = 200
"""How much a log line tells of what was wrong."""


class MediaStreamConnection:
    """One socket, from the end of its opening handshake on; to the host it is the stream's `Wire`."""

    def __init__(
        self,
        host: StreamHost,
        now_ns: int,
        handshake: Handshake | None = None,
        options: ConnectionOptions | None = None,
        wire: Wire | None = None,
        seat: Seat | None = None,
        judge: Judge = lambda handshake, shown, stream_id: Verdict.GOOD,
    ) -> None:
        self._host, self._seat = host, seat
        self._handshake = handshake or Handshake()
        self._options = options or ConnectionOptions()
        self._choice = Choice(self._handshake.path, f"tap-{self._handshake.connection_id}", self._options.tap_track)
        self._parser: Parser = self._choice
        self._parse: Callable[[str | bytes], Frame] = self._parser.parse
        self._wire = wire or NoWire()
        self._enter(State.CONNECTING)
        self._deadline_ns = now_ns + self._options.start_timeout_ns
        self._judge = judge
        self._shown: tuple[str, ...] = ()
        self._stream_id = ""
        self._stream_id_as_sent: str | None = None
        self._handle: StreamHandle | None = None
        self._session = 0
        self._samples_of: Callable[[bytes], int] = len
        self._close: Close | None = None
        self._refusal = ""  # of the start frame at hand; it closes the socket, so it is one line a connection
        self._malformed_in_a_row = 0
        self._received = 0
        self._accepted = 0
        self._sent = 0
        self._rejected: Counter[WsReject] = Counter()

    def snapshot(self) -> ConnectionSnapshot:
        """Return a frozen copy of the counters."""
        rejected = dict(self._rejected)
        return ConnectionSnapshot(self._state, self._stream_id, self._received, self._accepted, rejected, self._sent)

    @property
    def has_begun(self) -> bool:
        """Whether a stream has begun, for better or worse."""
        return self._state in (State.STREAMING, State.STOPPED)

    def deadline(self) -> int:
        """Return when `poll` has something to do, in ns; `NEVER_NS` while the stream runs."""
        return self._deadline_ns

    def poll(self, now_ns: int) -> Close | None:
        """Close a connection that does not start, or that has been stopped for long enough."""
        if now_ns >= self._deadline_ns and self._close is None:
            if self._state is State.STOPPED:
                self._close = close_with(1000, "stream stopped")
            else:
                seconds = self._options.start_timeout_ns / NS_PER_SECOND
                self._close = close_with(1002, f"no start frame within {seconds:g} s")
        return self._close

    def closed(self, now_ns: int) -> None:
        """Take note that the socket is gone."""
        handle, self._handle = self._handle, None
        self._deadline_ns = NEVER_NS
        self._close = self._close or close_with(1006, "closed")
        if handle is not None and self._state is State.STREAMING:
            try:
                self._host.stream_detached(handle, now_ns)
            except Exception:
                logger.exception("stream %s: the host failed when its socket closed", self._stream_id)
        self._wire, self._seat = NoWire(), None  # no circle for the collector, which comes once in hours

    def receive(self, message: str | bytes, now_ns: int) -> Close | None:
        """Take one message: text as str, binary as bytes. Return how to close the socket, if it must be closed."""
        if isinstance(message, str):
            return self.receive_text(message, now_ns)
        return self._receive_binary(message, now_ns)

    def receive_text(self, text: str | bytes, now_ns: int) -> Close | None:
        """Take one text message, as str or in UTF-8; otherwise as `receive`."""
        self._received += 1
        if self._close is not None:
            self._reject(WsReject.AFTER_CLOSE)
            return self._close
        try:
            frame = self._parse(text)
        except WireError as error:
            self._receive_malformed(WsReject[error.reason], str(error))
        else:
            self._malformed_in_a_row = 0
            before = self._accepted
            self._receive_frame(frame, now_ns)
            if self._seat is not None and self._accepted != before and type(frame) is Media:
                self._seat.note(text, frame)
        return self._close

    def accept(self, count: int) -> None:
        """Take note of `count` media frames that the express lane has taken."""
        self._received += count
        self._accepted += count
        if count:
            self._malformed_in_a_row = 0

    def _receive_binary(self, data: bytes, now_ns: int) -> Close | None:
        self._received += 1
        if self._close is not None:
            self._reject(WsReject.AFTER_CLOSE)
            return self._close
        try:
            frame = self._parser.parse_binary(data)
        except WireError as error:
            self._receive_malformed(WsReject[error.reason], str(error).removeprefix("BINARY: "))
        else:
            self._malformed_in_a_row = 0
            self._receive_frame(frame, now_ns)
        return self._close

    @property
    def is_open(self) -> bool:
        """Whether anything that is sent still goes out."""
        return self._close is None

    @property
    def buffered_bytes(self) -> int:
        """What was sent and not yet taken by the kernel."""
        return self._wire.buffered_bytes

    def send(self, message: str | bytes) -> None:
        """Send a message without waiting, text as str, binary as bytes; a peer that does not read is closed."""
        if self._close is not None:
            return
        unsent_bytes = self._wire.buffered_bytes
        if unsent_bytes > self._options.max_unsent_bytes:
            self.close(close_with(1008, f"does not read: {unsent_bytes} bytes wait"))
            return
        self._sent += 1
        self._wire.send(message)

    def close(self, close: Close) -> None:
        """Begin to close the socket, unless that has begun."""
        if self._close is None:
            self._close = close
            self._wire.close(close)

    def _receive_frame(self, frame: Frame, now_ns: int) -> None:
        try:
            if type(frame) is Media and self._is_streaming and frame.stream_id == self._stream_id_as_sent:
                reject = self._take_media(frame, now_ns)  # nearly all frames, and so by the shortest way
            else:
                reject = self._take(frame, now_ns)
        except Exception:
            # A frame that our own side cannot take costs that frame. A stream that cannot begin must not seem to.
            if not self._rejected[WsReject.HOST_FAILED]:
                logger.exception("stream %s: the host failed", self._stream_id)
            reject = WsReject.HOST_FAILED
            if isinstance(frame, Start | StartWithMedia):
                self._close = close_with(1011, "internal error")
        if reject is None:
            self._accepted += 1
        else:
            self._reject(reject, self._refusal or detail_of(frame, reject))
            self._refusal = ""

    def _receive_malformed(self, reject: WsReject, detail: str) -> None:
        if self._seat is not None:
            self._seat.count()  # what came before it
        self._reject(reject, detail)
        self._malformed_in_a_row += 1
        if self._malformed_in_a_row >= self._options.max_malformed:
            code = 1003 if reject is WsReject.BINARY else 1007
            last = f"{reject.text}; {detail}"
            self._close = close_with(code, f"{self._malformed_in_a_row} malformed messages in a row, last: {last}")

    def _reject(self, reject: WsReject, detail: str = "") -> None:
        """Count, and log the first of its kind: a peer that is always wrong must not fill the disk."""
        self._rejected[reject] += 1
        if self._rejected[reject] == 1 or self._refusal:
            where = f"{self._stream_id or 'none'} from {self._handshake.remote}"
            shown = f" ({detail:.{MAX_DETAIL_CHARACTERS}})" if detail else ""
            logger.warning("stream %s: %s%s", where, reject.text, shown)

    def _enter(self, state: State) -> None:
        self._state, self._expected = state, TRANSITIONS[state]
        self._is_streaming = state is State.STREAMING

    def _take(self, frame: Frame, now_ns: int) -> WsReject | None:
        """Act on a frame; return why it was not taken, None if it was."""
        next_state = self._expected.get(type(frame))
        if next_state is None or isinstance(frame, UnknownEvent):
            return self._take_misplaced(frame)
        reject = None
        if isinstance(frame, Connected):
            self._shown = (frame.auth_token,) if frame.auth_token else ()
        elif isinstance(frame, Start):
            reject = self._take_start(frame, now_ns)
        elif isinstance(frame, StartWithMedia):
            reject = self._take_start(frame.start, now_ns) or self._take_media(frame.media, now_ns)
        elif frame.stream_id != self._stream_id_as_sent and not self._is_own(frame.stream_id):
            reject = WsReject.OTHER_STREAM
        elif isinstance(frame, Media):
            reject = self._take_media(frame, now_ns)
        elif isinstance(frame, Stop):
            self._take_stop(now_ns)
        else:
            self._take_event(frame)
        if reject is None and next_state is not self._state:
            self._enter(next_state)
        return reject

    def _take_misplaced(self, frame: Frame) -> WsReject:
        if isinstance(frame, UnknownEvent):
            if self._handle is not None:
                self._handle.sequencer.skip(frame.sequence_number)
            return WsReject.UNKNOWN_EVENT
        if isinstance(frame, Start) and not self._is_own(frame.stream_id):
            return WsReject.OTHER_STREAM  # whoever sends it, it must not end the stream that runs
        return WsReject.OUT_OF_ORDER if isinstance(frame, Connected) else MISPLACED[self._state]

    def _is_own(self, stream_id: str | None) -> bool:
        return stream_id is None or stream_id.lower() == self._stream_id.lower()

    def _take_start(self, frame: Start, now_ns: int) -> WsReject | None:
        stream_id = frame.stream_id or ""
        if not is_usable_stream_id(stream_id):
            close = close_with(1002, "start frame without a usable stream_id (A-Z a-z 0-9 _ . : -)")
            return self._refuse(WsReject.BAD_FIELD, close, f"stream_id {ascii_excerpt(frame.stream_id)} not usable")
        shown, said = of_parameters(identity(frame.start))
        verdict = self._judge(self._handshake, (*self._shown, *shown), normalise_stream_id(stream_id))
        if verdict is not Verdict.GOOD:
            return self._refuse(WsReject.UNAUTHORIZED, close_with(1008, f"refused: {verdict.value}"), verdict.value)
        self._stream_id_as_sent, self._stream_id = stream_id, normalise_stream_id(stream_id)
        self._parser = self._choice.settle()
        self._parse = self._parser.parse
        media_format = frame.start.media_format
        asked = media_format.encoding, media_format.sample_rate, media_format.channels
        try:
            encoding = encoding_of(*asked, big_endian=self._options.l16_is_big_endian)
            start = StreamStart(
                stream_id=self._stream_id,
                encoding=encoding,
                tracks=announced_tracks(frame.start.tracks),
                identity={"stream_id": self._stream_id, **said},
                handshake=self._handshake,
                dialect=self._choice.dialect,
                stream_id_as_sent=stream_id,
                wire=self,
            )
            self._samples_of = counter_of(encoding)
            self._handle = self._host.stream_started(start, now_ns)
            self._enter(State.STREAMING)  # from here on the host is owed an end
        except WireError as error:
            close = close_with(1003, str(error).removeprefix(f"{error.reason}: "))
            detail = f"encoding {ascii_excerpt(asked[0])}, sample_rate {asked[1]}, channels {asked[2]} not served"
            return self._refuse(WsReject.UNSUPPORTED_ENCODING, close, detail)
        except StreamRefused as refusal:
            return self._refuse(WsReject.REFUSED, close_with(refusal.close_code, refusal.reason), refusal.reason)
        self._session = self._handle.sequencer.resume(frame.sequence_number)
        if self._seat is not None and isinstance(self._parser, TextParser):
            self._seat.reserve(Boarding(self._host, self._handle, self._session, self._parse, self.accept))
        self._deadline_ns = NEVER_NS
        return None

    def _refuse(self, reject: WsReject, close: Close, detail: str) -> WsReject:
        self._close, self._refusal = close, f"{detail}; closing with {close.code}"
        return reject

    def _take_media(self, frame: Media, now_ns: int) -> WsReject | None:
        body, handle = frame.media, self._handle
        direction = DIRECTIONS.get(body.track or "")
        if direction is None:
            return WsReject.UNKNOWN_TRACK
        if not body.payload:
            return WsReject.EMPTY_PAYLOAD
        assert handle is not None
        samples = self._samples_of(body.payload)
        if not samples:
            return WsReject.UNDECODABLE
        placement = handle.sequencer.place(
            direction, body.chunk, frame.sequence_number, body.timestamp, samples, self._session
        )
        self._host.stream_media(handle, direction, placement, body.payload, now_ns)
        return None

    def _take_event(self, frame: Dtmf | Mark | Error) -> None:
        assert self._handle is not None
        self._handle.sequencer.skip(frame.sequence_number)
        self._host.stream_event(self._handle, event(frame))

    def _take_stop(self, now_ns: int) -> None:
        handle, self._handle = self._handle, None
        assert handle is not None
        if self._seat is not None:
            self._seat.leave()
        self._enter(State.STOPPED)  # whatever the host does now, it is not asked again
        self._deadline_ns = now_ns + self._options.linger_ns
        self._host.stream_stopped(handle, now_ns)
