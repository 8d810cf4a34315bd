"""`Gathering`: what is known of a call until its record is whole. Sans-I/O.

A call's record waits up to `MAX_WAIT_NS` for what becomes of its recordings, the names of files: of that of the whole
call, and of takes that have begun. Then it is written without. Verbs: `began`, `ended`, `recorded` and `failed` tell
of a call, `poll` returns those that are whole, `deadline` says when one is at the latest.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from media.sinks.contract import CallInfo, CallReport
from media.sinks.finished import FinishedRecording
from strep.clock import NEVER_NS, NS_PER_SECOND

MAX_WAIT_NS = 60 * NS_PER_SECOND
"""From the end of a call to its record, whatever becomes of its recordings."""


@dataclass(eq=False, slots=True)
class Gathered:
    """A call, and what is known of it.

    Attributes:
        call: whose record it will be.
        report: how it ended; None while it goes on.
        recordings: its files so far.
        due_ns: when the record is written at the latest.
        begun, over: ids of takes: that have begun, and that are closed or came to nothing, which may be told before.
        is_recorded: what becomes of the recording of the whole call is known.
    """

    call: CallInfo
    report: CallReport | None = None
    recordings: list[FinishedRecording] = field(default_factory=list)
    due_ns: int = NEVER_NS
    begun: set[str] = field(default_factory=set)
    over: set[str] = field(default_factory=set)
    is_recorded: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether nothing more is to come."""
        return self.report is not None and self.is_recorded and self.begun <= self.over


class Gathering:
    """All calls whose record is not written, and of which there is something to remember; whoever calls holds a lock.

    Attributes:
        incomplete: records that were written without waiting any longer for a recording.
    """

    def __init__(self, *, are_recorded: bool) -> None:
        """Start empty; `are_recorded` says that every call has a recording to wait for."""
        self.incomplete = 0
        self._are_recorded = are_recorded
        self._calls: dict[int, Gathered] = {}  # by the id() of a `CallInfo`, which is kept: no other can have it
        self._whole: list[Gathered] = []

    def __len__(self) -> int:
        """Return how many calls have ended without a record yet."""
        return len(self._whole) + sum(known.report is not None for known in self._calls.values())

    def began(self, call: CallInfo, recording_id: str) -> None:
        """A take has begun."""
        if (known := self._known(call)) is not None:
            known.begun.add(recording_id)

    def ended(self, call: CallInfo, report: CallReport, now_ns: int) -> None:
        """A call has ended."""
        if (known := self._known(call)) is not None:
            known.report, known.due_ns = report, now_ns + MAX_WAIT_NS
            self._look(known)

    def recorded(self, recording: FinishedRecording) -> None:
        """A recording is closed: of the whole call, behind its end or before it, or a take."""
        if recording.call.index < 0:  # a dead process', of which there are neither report nor events here
            return
        if (known := self._known(recording.call)) is not None:
            known.recordings.append(recording)
            self._settle(known, recording.recording_id, is_take=recording.is_take)

    def failed(self, call: CallInfo, recording_id: str, *, is_take: bool) -> None:
        """There is no file of a recording, or it is closed for all that, and `recorded` tells of it."""
        if (known := self._calls.get(id(call))) is not None:
            self._settle(known, recording_id, is_take=is_take)

    def poll(self, now_ns: int, *, is_over: bool = False) -> list[Gathered]:
        """Return those that are whole, those that have waited for too long, and if it `is_over`, all that ended."""
        late = [known for known in self._calls.values() if known.report and (is_over or known.due_ns <= now_ns)]
        self.incomplete += len(late)
        for known in late:
            self._finish(known)
        whole, self._whole = self._whole, []
        return whole

    def deadline(self) -> int:
        """Return when `poll` has something to return, 0: now, `NEVER_NS` if not before it is told something."""
        if self._whole:
            return 0
        return min((known.due_ns for known in self._calls.values()), default=NEVER_NS)

    def _known(self, call: CallInfo) -> Gathered | None:
        """Return what is known of a call, None if its record is made."""
        if call.told.is_on_record:
            return None
        return self._calls.setdefault(id(call), Gathered(call, is_recorded=not self._are_recorded))

    def _settle(self, known: Gathered, recording_id: str, *, is_take: bool) -> None:
        if is_take:
            known.over.add(recording_id)
        else:
            known.is_recorded = True
        self._look(known)

    def _look(self, known: Gathered) -> None:
        if known.is_whole:
            self._finish(known)

    def _finish(self, known: Gathered) -> None:
        del self._calls[id(known.call)]
        self._whole.append(known)
        known.call.told.is_on_record = True
