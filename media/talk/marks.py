"""Marks of one call that are with the carrier: the application's, and our own, which tell how far it has played.

A mark comes back when what was sent before it has been played; after a clear all come back at once, and that is no
proof of anything. So whatever is cleared or sent again becomes *void*: that many marks of that name are swallowed
when they come. A void mark is forgotten as soon as one comes back that was sent later: marks keep their order.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import NamedTuple

from media.talk.queue import QueuedMark

OWN_PREFIX = "strep."
"""Names that begin so are ours; an application's may not."""
MAX_NAME_CHARACTERS = 200
"""Of an application's mark."""
MAX_VOID = 1000
"""Void marks that are remembered; of a carrier that never returns any, the oldest are forgotten."""


def check_name(name: str) -> None:
    """Check the name of an application's mark.

    Raises:
        ValueError: it is empty, too long, one of ours, or nothing that a frame can hold.
    """
    if not 0 < len(name) <= MAX_NAME_CHARACTERS or name.startswith(OWN_PREFIX):
        raise ValueError(f"a mark has 1 to {MAX_NAME_CHARACTERS} characters and does not begin with {OWN_PREFIX!r}")
    try:
        name.encode()
    except UnicodeEncodeError as error:  # half of a surrogate pair
        raise ValueError(f"the name of a mark is text: {error}") from None


class OwnMark(NamedTuple):
    """A mark of ours: its name, the output position behind which it was sent, and when."""

    name: str
    position: int
    sent_ns: int


class Marks:
    """What is out, in the order in which it was sent.

    Attributes:
        unknown: marks that came back though nobody had sent them; harmless.
        own: ours that are out, oldest first.
    """

    def __init__(self) -> None:
        self.unknown = 0
        self.own: deque[OwnMark] = deque()
        self._asked: dict[str, deque[QueuedMark]] = {}
        self._void: Counter[str] = Counter()
        self._count = self._voided_at = 0

    @property
    def is_any_out(self) -> bool:
        """Whether a mark is with the carrier."""
        return bool(self.own or self._asked)

    def send_own(self, position: int, now_ns: int) -> str:
        """Return the name of a new mark of ours."""
        self._count += 1
        name = f"{OWN_PREFIX}{self._count}"
        self.own.append(OwnMark(name, position, now_ns))
        return name

    def send(self, mark: QueuedMark, now_ns: int) -> None:
        """Take note that a mark of the application is out."""
        mark.sent_ns = now_ns
        self._asked.setdefault(mark.name, deque()).append(mark)

    def void(self, marks: Iterable[QueuedMark], position: int) -> None:
        """Take note that `marks`, and ours behind output `position`, will come back without having been played."""
        self._voided_at = self._count
        while self.own and self.own[-1].position > position:
            self._void[self.own.pop().name] += 1
        for mark in marks:
            waiting = self._asked.get(mark.name)
            if waiting and mark in waiting:
                waiting.remove(mark)
                self._void[mark.name] += 1
                if not waiting:
                    del self._asked[mark.name]
        while len(self._void) > MAX_VOID:
            del self._void[next(iter(self._void))]

    def void_all(self) -> None:
        """The same for everything that is out."""
        self.void([mark for marks in self._asked.values() for mark in marks], -1)

    def forget_all(self) -> None:
        """Forget everything: the socket that they were sent on is gone."""
        self.own.clear()
        self._asked.clear()
        self._void.clear()

    def drop(self, mark: QueuedMark) -> None:
        """Wait no longer for a mark of the application."""
        self.void([mark], self.own[-1].position if self.own else 0)

    def returned(self, name: str) -> OwnMark | QueuedMark | None:
        """Return which mark has come back, None if that says nothing."""
        if self._void.get(name):
            self._void[name] -= 1
            if not self._void[name]:
                del self._void[name]
            return None
        if name.startswith(OWN_PREFIX):
            return self._returned_own(name)
        waiting = self._asked.get(name)
        if not waiting:
            self.unknown += 1
            return None
        mark = waiting.popleft()
        if not waiting:
            del self._asked[name]
        return mark

    def _returned_own(self, name: str) -> OwnMark | None:
        found = next((mark for mark in self.own if mark.name == name), None)
        if found is None:
            self.unknown += 1
            return None
        while self.own.popleft() is not found:
            pass
        if int(name.removeprefix(OWN_PREFIX)) > self._voided_at:
            self._void.clear()
        return found
