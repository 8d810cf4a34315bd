"""What a measurement says while it goes on: a line for what is done, and one that tells what is being done."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Say(Protocol):
    """Told what is going on."""

    def __call__(self, line: str) -> None:
        """Show a line that stays."""

    def doing(self, what: str, share: float = 0.0) -> None:
        """Show what is being done now, and which share of the whole is done, 0 to 1."""


class Teller:
    """`Say` on a terminal; elsewhere only the lines."""

    def __init__(self, console: Console) -> None:
        """Prepare; shown between ``with``."""
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(30),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=1.0)

    def __call__(self, line: str) -> None:
        """Show a line that stays."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def doing(self, what: str, share: float = 0.0) -> None:
        """Show what is being done now."""
        self._progress.update(self._task, description=what, completed=share)

    def __enter__(self) -> Self:
        """Begin to show."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clear."""
        self._progress.stop()


class Silent:
    """`Say` for those who do not listen."""

    def __call__(self, line: str) -> None:
        """Do nothing."""

    def doing(self, what: str, share: float = 0.0) -> None:
        """Do nothing."""
