"""`PlayQueue`: the plays and marks of one call in the order of their sounding, and how far they were read.

Those before the cursor were read out, but not heard yet. A mark stands behind the plays that were there before it,
and has its place in the output once all of them have been read.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass

from media.talk.voice import Voice


@dataclass(eq=False, slots=True)
class QueuedMark:
    """A mark that somebody asked for.

    Attributes:
        name: as the carrier gets it.
        position: in the output; None until all that is before it in the queue has been pulled.
        is_sent: it is with the carrier.
        sent_ns: since when.
    """

    name: str
    position: int | None = None
    is_sent: bool = False
    sent_ns: int = 0


class PlayQueue:
    """Knows nothing of audio; `position` is always one in the output, in samples.

    Attributes:
        unsent_marks: marks that are not with the carrier yet.
    """

    def __init__(self) -> None:
        self._items: list[Voice | QueuedMark] = []
        self._cursor = 0
        self.unsent_marks = 0
        self._ends: list[int] = []

    def __len__(self) -> int:
        """Return how many plays and marks there are."""
        return len(self._items)

    def __contains__(self, voice: Voice) -> bool:
        """Whether a play is in it."""
        return voice in self._items

    # -- plays ---------------------------------------------------------------------------------------

    def add(self, voice: Voice) -> None:
        """Put a play behind everything."""
        self._items.append(voice)

    def remove(self, item: Voice | QueuedMark) -> None:
        """Take out what is there."""
        index = self._items.index(item)
        del self._items[index]
        self._cursor -= index < self._cursor

    @property
    def has_more(self) -> bool:
        """Whether a play has not been read out."""
        return self._cursor < len(self._items)

    @property
    def voices(self) -> list[Voice]:
        """All plays."""
        return [item for item in self._items if isinstance(item, Voice)]

    @property
    def begun(self) -> list[Voice]:
        """Those that were read, and the next."""
        return [item for item in self._items[: self._cursor + 1] if isinstance(item, Voice)]

    def turn(self, position: int) -> Voice | None:
        """Return the play whose turn it is, now that all before `position` has been read."""
        self.pass_marks(position)
        if self._cursor == len(self._items):
            return None
        item = self._items[self._cursor]
        assert isinstance(item, Voice)
        return item

    def pass_marks(self, position: int) -> None:
        """Move on to the next play that has something; the marks on the way have their place now."""
        items = self._items
        while self._cursor < len(items):
            item = items[self._cursor]
            if isinstance(item, QueuedMark):
                item.position = position
            elif not item.is_read_out:
                return
            else:
                self.end_at(position)
            self._cursor += 1

    # -- where plays end -----------------------------------------------------------------------------

    def end_at(self, position: int) -> None:
        """Take note that a play ends there."""
        if position not in self._ends:
            insort(self._ends, position)

    def next_end(self, after: int) -> int | None:
        """Return where the next play behind `after` ends, None while that is not known."""
        for end in self._ends:
            if end > after:
                return end
        return None

    def next_place(self, after: int) -> int | None:
        """Return where behind `after` a play ends or an unsent mark lies, None while nothing does."""
        if not self._ends and not self.unsent_marks:
            return None
        end, mark = self.next_end(after), self.next_mark(after)
        return mark if end is None else end if mark is None else min(end, mark)

    def forget_ends(self, position: int) -> None:
        """Forget the ends up to `position`: they were heard."""
        while self._ends and self._ends[0] <= position:
            del self._ends[0]

    # -- marks ---------------------------------------------------------------------------------------

    def add_mark(self, name: str, position: int) -> QueuedMark:
        """Put a mark behind everything; all before `position` has been read."""
        mark = QueuedMark(name)
        self._items.append(mark)
        self.unsent_marks += 1
        self.pass_marks(position)
        return mark

    def drop_mark(self, mark: QueuedMark) -> None:
        """Forget a mark: it has come back, or nobody waits for it any more."""
        if mark in self._items:
            self.remove(mark)
            self.unsent_marks -= not mark.is_sent

    def due_marks(self, position: int) -> list[QueuedMark]:
        """Return marks not sent yet that belong before `position`, or right there, and count them as sent."""
        if not self.unsent_marks:
            return []
        due = [
            mark for mark in self._placed(is_sent=False) if mark.position is not None and mark.position <= position
        ]
        for mark in due:
            mark.is_sent = True
        self.unsent_marks -= len(due)
        return due

    def is_mark_due(self, position: int) -> bool:
        """Whether `due_marks` would return one."""
        if not self.unsent_marks:
            return False
        return any(mark.position is not None and mark.position <= position for mark in self._placed(is_sent=False))

    def next_mark(self, after: int) -> int | None:
        """Return where the next mark behind `after` lies that was not sent, None while there is none."""
        if not self.unsent_marks:
            return None
        places = [mark.position for mark in self._placed(is_sent=False)]
        return min((place for place in places if place is not None and place > after), default=None)

    def unsend_marks(self, position: int) -> list[QueuedMark]:
        """Return the marks behind `position` that were sent, and count them as not sent."""
        again = [
            mark for mark in self._placed(is_sent=True) if mark.position is not None and mark.position > position
        ]
        for mark in again:
            mark.is_sent = False
        self.unsent_marks += len(again)
        return again

    def _placed(self, *, is_sent: bool) -> list[QueuedMark]:
        read = self._items[: self._cursor]
        return [item for item in read if isinstance(item, QueuedMark) and item.is_sent is is_sent]

    # -- back, and away ------------------------------------------------------------------------------

    def retract(self, position: int) -> list[QueuedMark]:
        """Go back to `position`, now that plays have been taken back; return the marks that have to be sent again."""
        again = self.unsend_marks(position)
        for item in self._items:
            if isinstance(item, QueuedMark) and item.position is not None and item.position > position:
                item.position = None
        while self._ends and self._ends[-1] > position:
            self._ends.pop()
        self._cursor = self._first_unread()
        self.pass_marks(position)
        return again

    def _first_unread(self) -> int:
        for index, item in enumerate(self._items):
            if (not item.is_read_out) if isinstance(item, Voice) else item.position is None:
                return index
        return len(self._items)

    def clear(self) -> None:
        """Forget all."""
        self._items.clear()
        self._ends.clear()
        self._cursor = self.unsent_marks = 0
