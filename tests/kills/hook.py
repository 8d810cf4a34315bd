"""A process that is killed at a step on the disk, played by an exception."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Killed(BaseException):
    """What a process that is killed does: nothing more."""


class Hook:
    """Kills at the nth step on the disk that is one: an audit event and its arguments (PEP 578); it is never removed.

    Attributes:
        left: steps that are done before; None: it kills nobody.
    """

    def __init__(self, is_step: Callable[[str, tuple[Any, ...]], bool]) -> None:
        self.left: int | None = None
        self._is_step = is_step
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.left is not None and self._is_step(event, arguments):
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Killed

    @contextmanager
    def after(self, count: int) -> Iterator[None]:
        self.left = count
        try:
            yield
        finally:
            self.left = None
