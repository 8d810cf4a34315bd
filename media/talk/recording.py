"""Recording as an application has it: `Recorder`, what a call can be told, and `TakeHandle`, what it gets for it."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from media.engine import Engine
from media.events.recordings import RecordingStarted
from media.pauses.pausing import Pausing, Publish
from media.pauses.spans import PauseMode
from media.pauses.whereabouts import Whereabouts, whereabouts
from media.sinks.contract import CallInfo
from media.sinks.finished import FinishedRecording
from media.sinks.takes.beep import beep
from media.sinks.takes.options import TakeOptions
from media.sinks.takes.running import Order
from media.sinks.takes.sink import Stop, TakesSink
from strep.errors import StrepError, UsageError

if TYPE_CHECKING:
    from media.talk.call import LiveCall

MAX_TAKES = 16
"""Of one call at once, with those whose beep nobody has heard yet."""
BEEP_HZ = 8000
"""Sample rate of the beep that is played."""


class RecordingError(StrepError):
    """A recording of which there is no file; one line that says why."""


class TakeHandle:
    """A recording that was started during a call.

    Attributes:
        recording_id: UUID, as in events and in the sidecar.
        start_samples: its first sample, on the call's timeline.
        is_stopped: it was told to end, and may not be saved yet.
    """

    def __init__(self, recording_id: str, start_samples: int, stop: Callable[[str], None]) -> None:
        self.recording_id, self.start_samples = recording_id, start_samples
        self.is_stopped = False
        self._stop = stop
        self._saved: asyncio.Future[FinishedRecording] = asyncio.get_running_loop().create_future()
        self._saved.add_done_callback(_look_at)

    def __repr__(self) -> str:
        """Return its id."""
        return f"<TakeHandle {self.recording_id}>"

    @property
    def is_saved(self) -> bool:
        """Whether its file is closed, or could not be made."""
        return self._saved.done()

    def stop(self) -> None:
        """End it here, with everything that has come by now; nothing happens if it has ended."""
        self.is_stopped = True
        if not self._saved.done():
            self._stop(self.recording_id)

    async def saved(self) -> FinishedRecording:
        """Wait until its file is closed: a fraction of a second after its end, two if a side is silent then.

        Raises:
            RecordingError: there is no file.
        """
        return await asyncio.shield(self._saved)

    def settle(self, outcome: FinishedRecording | str) -> None:
        """Take note of the file, or of why there is none."""
        if self._saved.done():
            return
        if isinstance(outcome, str):
            self._saved.set_exception(RecordingError(outcome))
        else:
            self._saved.set_result(outcome)


def _look_at(saved: asyncio.Future[FinishedRecording]) -> None:
    if not saved.cancelled():
        saved.exception()  # who does not wait for it has the event


class Recorder:
    """Recording during calls, for all of them; used in the event loop."""

    def __init__(self, engine: Engine, publish: Publish, takes: TakesSink | None) -> None:
        """Command `takes`, which is None where nothing is recorded."""
        self.pausing = Pausing(engine, publish)
        self._engine, self._publish, self._takes = engine, publish, takes
        self._live: dict[
            int, dict[str, TakeHandle]
        ] = {}  # by id of the call's info, for the next call may have its name
        self._beeping = Counter[int]()  # likewise

    def check(self, info: CallInfo, options: TakeOptions) -> TakesSink:
        """Return what records, if it can be as the options say.

        Raises:
            UsageError: it cannot; what to do about it.
        """
        if self._takes is None:
            raise UsageError("there is no place for recordings: start the server with --record or --takes DIRECTORY")
        if options.look_back_s > self._takes.look_back_s:
            raise UsageError(
                f"recording: it cannot look back for {options.look_back_s:g} s: {self._takes.look_back_s:g} s are "
                "kept; start the server with a longer --look-back"
            )
        if self._takes.recipients and (options.trim_silence or options.format not in (None, "wav")):
            raise UsageError(
                "recording: with --encrypt-to a take is a sealed WAV, which nobody here can open again: ask for "
                "no format and no trimming, and make of it what is wanted where `strep unseal` opens it"
            )
        if len(self._live.get(id(info), ())) + self._beeping[id(info)] >= MAX_TAKES:
            raise UsageError(f"call {info.call_id} has {MAX_TAKES} recordings already: stop one first")
        return self._takes

    @contextmanager
    def beeping(self, info: CallInfo) -> Iterator[None]:
        """Count a take that begins when its beep has been heard."""
        self._beeping[id(info)] += 1
        try:
            yield
        finally:
            self._beeping[id(info)] -= 1
            if not self._beeping[id(info)]:
                del self._beeping[id(info)]

    def running(self, info: CallInfo) -> list[TakeHandle]:
        """Return the takes of a call whose files are not closed, in the order of their beginning."""
        return list(self._live.get(id(info), {}).values())

    def start(self, info: CallInfo, options: TakeOptions, recording_id: str = "") -> TakeHandle:
        """Begin a take where the call is now, of that id, or of a new one.

        Raises:
            UsageError: see `check`, or the call has ended.
        """
        takes, place = self.check(info, options), self._where(info)
        loop = asyncio.get_running_loop()
        start = max(place.earliest - round(options.look_back_s * info.sample_rate_hz), 0)
        recording_id = recording_id or str(uuid.uuid4())
        handle = TakeHandle(recording_id, start, lambda ended: self._stop(info, takes, ended))
        live = self._live.setdefault(id(info), {})
        live[recording_id] = handle

        def settle(outcome: FinishedRecording | str) -> None:
            handle.settle(outcome)
            live.pop(recording_id, None)
            if not live and self._live.get(id(info)) is live:
                del self._live[id(info)]

        def soon(outcome: FinishedRecording | str) -> None:  # from threads of those who record
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, outcome)

        now_ns = self._engine.now_ns()
        takes.order(Order(info, options, recording_id, start, place.earliest, now_ns, soon, soon))
        channels = "single" if options.single else "dual"
        self._publish(info, RecordingStarted(position_samples=start, recording_id=recording_id, channels=channels))
        return handle

    def _stop(self, info: CallInfo, takes: TakesSink, recording_id: str) -> None:
        try:
            end = self._where(info).latest
        except UsageError:
            return  # its recordings end with it
        takes.order(Stop(recording_id, end))

    def _where(self, info: CallInfo) -> Whereabouts:
        call = self._engine.calls.get(info.call_id)
        if call is None or call.info is not info:
            raise UsageError(f"call {info.call_id} has ended")
        return whereabouts(call, self._engine.reels, self._engine.now_ns())


class Recordable:
    """What a `LiveCall` has for recording."""

    info: CallInfo
    recorder: Recorder | None = None

    async def start_recording(self, *, recording_id: str = "", **options: Any) -> TakeHandle:
        """Begin to record the call, or a side of it, into a file of its own; return when it has begun.

        With ``play_beep`` it begins when the beep has been heard, in calls that can be played to.

        Args:
            recording_id: a UUID that it is to have; else a new one.
            **options: those of `media.sinks.takes.options.TakeOptions`: channels, track, play_beep, beep_in_file,
                max_length_s, end_silence_s, initial_timeout_s, silence_dbm0, trim_silence, name, format, look_back_s.

        Raises:
            UsageError: an option that cannot be, no place for recordings, too many at once, or the call has ended.
            PlaybackError: the beep cannot be played.
        """
        recorder, wanted = self._recorder(), options_of(options)
        recorder.check(self.info, wanted)
        call = cast("LiveCall", self)
        if wanted.play_beep and call.can_play:
            with recorder.beeping(self.info):
                await (await call.play(beep(BEEP_HZ), rate_hz=BEEP_HZ)).wait()
        return recorder.start(self.info, wanted, recording_id)

    def pause_recording(self, mode: PauseMode = "silence", *, by: str = "", reason: str = "") -> None:
        """Keep nothing of the call from now on, in no recording and no other sink that is sensitive.

        The other leg of a call on the STREP port is another call, of which that is for its own application to say.
        Digits that are pressed meanwhile come by `LiveCall.events`, and nobody else is told which they are. A call
        that is paused already stays so, in the mode that it has.

        Args:
            mode: "silence" keeps the time in files, "omit" takes it out of them when they are closed.
            by: who wants it, for the audit trail: sidecars and events have it.
            reason: why, likewise.

        Raises:
            UsageError: no such mode, or the call has ended.
        """
        self._recorder().pausing.pause(self.info, mode, by=by, reason=reason)

    def resume_recording(self, *, by: str = "", reason: str = "") -> None:
        """Keep what comes from now on; nothing happens if the call is not paused, or has ended."""
        self._recorder().pausing.resume(self.info, by=by, reason=reason)

    def _recorder(self) -> Recorder:
        if self.recorder is None:
            raise UsageError("this call cannot be recorded: nobody said how")
        return self.recorder


def options_of(given: dict[str, Any]) -> TakeOptions:
    """Return options by their names.

    Raises:
        UsageError: one that there is not, or that cannot be.
    """
    unknown = given.keys() - TakeOptions.__dataclass_fields__.keys()
    if unknown:
        known = ", ".join(TakeOptions.__dataclass_fields__)
        raise UsageError(f"recording: there is no option {', '.join(sorted(unknown))}; there are {known}")
    return TakeOptions(**given)
