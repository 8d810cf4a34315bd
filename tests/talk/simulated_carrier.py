"""Our return paths and the simulated carrier's core in one process: every message in the words of a dialect.

Neither side knows the other: what is sent is written by `media.ws.dialects` and read by `media.carrier.dialects`,
what comes back the other way round. Time goes from one deadline to the next, so that half an hour takes seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np

from media.carrier.dialects import DIALECTS as CARRIERS
from media.carrier.dialects.contract import Command, Media, Message, StreamIdentity, Violation
from media.carrier.options import ErrorShape, PlaybackManners, WebSocketOptions
from media.carrier.options import PlaybackMode as CarrierMode
from media.carrier.playback import Answer, MarkReturned, Playback, PlaybackForm
from media.codecs import Encoding
from media.talk.contract import Pcm
from media.talk.handle import Playback as Handle
from media.talk.lateness import Lateness
from media.talk.mode import PlaybackMode, StreamFrames, playout_for
from media.talk.voice import Voice
from media.ws.description import event
from media.ws.dialects.choosing import DIALECTS
from media.ws.messages import Error, Mark
from strep.clock import NEVER_NS, NS_PER_SECOND, ManualClock
from tests.talk.model_carrier import ArraySource, Control

_NAMES = [f"{n}c1b2a3d-0000-4000-8000-00000000000{n}" for n in range(1, 5)]
IDENTITY = StreamIdentity(_NAMES[0], _NAMES[1], _NAMES[2], _NAMES[3], call=1)
OURS = {dialect.name: dialect for dialect in DIALECTS}
STRICT = PlaybackManners()


class AtOnce:
    """Makes everything before anything else happens."""

    def submit(self, make: Callable[[], bytes], due_ns: int) -> Future[bytes]:
        made: Future[bytes] = Future()
        made.set_result(make())
        return made


class SimulatedCall(Control):
    """One call of both sides.

    Attributes:
        carrier: the simulated carrier's playback; it counts what it refuses.
        playout: ours.
        payloads: of the media messages that were sent, and not refused.
        errors: codes that came back.
        most_queued: samples that the carrier ever had and had not played.
        spoil: what becomes of our messages on the way.
    """

    is_open, buffered_bytes = True, 0

    def __init__(
        self,
        dialect: str,
        mode: PlaybackMode,
        *,
        manners: PlaybackManners = STRICT,
        seed: int = 1,
        delay_ns: int = 0,
        jitter_ns: int = 0,
        carrier_mode: PlaybackMode | None = None,
    ) -> None:
        """Call; messages take `delay_ns`, ours up to `jitter_ns` more; `carrier_mode` is what the carrier thinks."""
        theirs_mode = carrier_mode or mode
        self.clock = ManualClock(10 * NS_PER_SECOND)
        theirs, start_ns = CARRIERS[dialect], self.clock.now_ns()
        self.writer = theirs.writer(IDENTITY, "PCMU", 8000, WebSocketOptions(dialect=dialect, manners=manners))
        form = PlaybackForm(
            mode=CarrierMode(theirs_mode.mode),
            encoding=theirs_mode.encoding if theirs_mode.mode == "rtp" else Encoding("L16", mode.rate_hz),
            message_ms=theirs.message_ms,
            start_ns=start_ns,
            manners=manners,
            seed=seed,
            invalid_code=theirs.invalid_media,
        )
        read = theirs.reader(IDENTITY, takes_audio=True)

        def read_and_keep(message: Message) -> Command | Violation:
            command = read(message)
            if isinstance(command, Media):
                self._arrived = command.data
            return command

        self._arrived = b""
        self.carrier = Playback(read_and_keep, form)
        self._sequence_number, self._manners, self._delay_ns = 1, manners, delay_ns
        self._jitter_ns, self._random = jitter_ns, np.random.default_rng(seed)
        self.spoil: Callable[[str], str] = lambda message: message
        stream_id = theirs.stream_name(IDENTITY.stream_id)
        self._parse = OURS[dialect].parser(stream_id, "inbound").parse
        self.playout = playout_for(mode, StreamFrames(OURS[dialect], stream_id), Lateness(), mp3_makers=AtOnce())
        self.rate_hz = self.playout.player.sample_rate_hz
        self.payloads: list[bytes] = []
        self.errors: list[int] = []
        self.most_queued = 0
        self._heard: list[Pcm] = []
        self._answers: deque[tuple[int, str | bytes]] = deque()
        self._sending: deque[tuple[int, str | bytes]] = deque()
        self.playout.attach(self, start_ns)

    # -- Wire, and the carrier at its end ------------------------------------------------------------

    def send(self, message: str | bytes) -> None:
        assert isinstance(message, str)
        arrives_ns = self.clock.now_ns() + self._delay_ns + int(self._random.random() * self._jitter_ns)
        if self._sending:
            arrives_ns = max(arrives_ns, self._sending[-1][0])
        self._sending.append((arrives_ns, self.spoil(message)))

    def _carry(self) -> None:
        """Bring what has arrived to either side."""
        now_ns = self.clock.now_ns()
        while self._sending and self._sending[0][0] <= now_ns:
            message = self._sending.popleft()[1]
            before = self.carrier.heard.messages
            answers = self.carrier.receive(message, now_ns)
            if self.carrier.heard.messages > before:
                self.payloads.append(self._arrived)
            self._answer(answers)
            self.most_queued = max(self.most_queued, self.carrier.tape.end - self.carrier.position(now_ns))
        self._answer(self.carrier.poll(now_ns))
        while self._answers and self._answers[0][0] <= now_ns:
            self._take(self._answers.popleft()[1], now_ns)

    def _answer(self, answers: list[Answer] | list[MarkReturned]) -> None:
        for answer in answers:
            self._sequence_number += 1
            if isinstance(answer, MarkReturned):
                message = self.writer.write("mark", self._sequence_number, answer.name)
            elif "error" not in self.writer.frames:
                continue
            else:
                shape = self._manners.error_shape
                is_old = shape is ErrorShape.OLD or (shape is ErrorShape.ALTERNATING and len(self.errors) % 2)
                kind = "old_error" if is_old else "error"
                message = self.writer.write(kind, self._sequence_number, answer.code, answer.detail)
            self._answers.append((self.clock.now_ns() + self._delay_ns, message))

    def _take(self, message: str | bytes, now_ns: int) -> None:
        frame = self._parse(message)
        if isinstance(frame, Mark):
            self.playout.take_mark(frame.mark.name, now_ns)
        else:
            assert isinstance(frame, Error)
            said = event(frame)
            self.errors.append(said["code"])
            self.playout.take_error(said["code"], f"{said['code']} {said['title']} {said['detail']}", now_ns)

    # -- what a call does ------------------------------------------------------------------------------

    def play(self, pcm: Pcm, **options: Any) -> Handle:
        handle = Handle(self.rate_hz, "a play")
        self.playout.add(Voice(ArraySource(pcm), handle, **options), self)
        return handle

    # -- time ------------------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Let so much time go by."""
        self._run_until(self.clock.now_ns() + round(seconds * NS_PER_SECOND))

    def run_out(self, limit_seconds: float = 4000) -> None:
        """Let time go by until nothing is left to do."""
        limit_ns = self.clock.now_ns() + round(limit_seconds * NS_PER_SECOND)
        while (next_ns := self._next_ns()) != NEVER_NS:
            assert next_ns < limit_ns, "it does not end"
            self._run_until(next_ns)
        self.run(0.1)

    def _next_ns(self) -> int:
        queued = [waiting[0][0] for waiting in (self._answers, self._sending) if waiting]
        return min(self.playout.deadline(), self.carrier.deadline(), *queued, NEVER_NS)

    def _run_until(self, end_ns: int) -> None:
        polls = 0
        while True:
            now_ns = self.clock.now_ns()
            self._carry()
            if self.playout.deadline() <= now_ns:
                self.playout.poll(now_ns)
                polls += 1
                assert polls < 100, "poll has always something to do"
                continue
            next_ns = min(self._next_ns(), end_ns)
            if next_ns <= now_ns:
                if now_ns >= end_ns:
                    break
                polls += 1
                assert polls < 100
                continue
            polls = 0
            self.clock.advance(next_ns - now_ns)
            self._hear()
        self._hear()

    def _hear(self) -> None:
        self._heard.append(self.carrier.heard_pcm(self.clock.now_ns()))

    @property
    def heard(self) -> Pcm:
        """Everything that was heard, from the call's beginning on, silence included."""
        self._hear()
        return np.concatenate(self._heard)
