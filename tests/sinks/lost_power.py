"""A disk that forgets: what is done to files is written down, and done again as a machine that lost its power did it.

What ext4 (``data=ordered``), XFS and btrfs promise, and no more:

* all that was done before a sync that came back is there;
* of what came later, names are there up to some moment, in order (the journal);
* contents are written whenever: of each later write all of it may be there, some, or nothing, whatever its name does,
  but of a sector of the disk all or nothing;
* a file is as long as its last byte that came to the disk; what lies before it and did not is zeros.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

_SECTOR_BYTES = 512
_NAMES = ("create", "link", "rename", "remove")


class Step(NamedTuple):
    """One thing that was done: "create", "write", "cut", "link", "rename", "remove", or "sync"."""

    kind: str
    inode: int = 0
    name: str = ""
    target: str = ""
    offset: int = 0
    data: bytes = b""


class Disk:
    """What was done to the files of a directory, those that were there first.

    Attributes:
        steps: in order.
        begun: so many of them made what was there.
    """

    def __init__(self, directory: Path) -> None:
        self.steps: list[Step] = []
        self._directory = str(directory)
        self._inodes: dict[str, int] = {}
        self._files: dict[int, tuple[int, int]] = {}  # by descriptor: inode, position
        self._made = 0
        for path in directory.iterdir() if directory.is_dir() else ():
            self._made += 1
            self._inodes[path.name] = self._made
            self.steps.append(Step("create", self._made, path.name))
            self.steps.append(Step("write", self._made, data=path.read_bytes()))
        self.begun = len(self.steps)

    def sync(self, _descriptor: int = 0) -> None:
        """All that was done is on the disk."""
        self.steps.append(Step("sync"))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Write down what is done meanwhile."""
        notes: dict[str, Callable[..., None]] = {
            "open": self._opened,
            "close": self._closed,
            "pwrite": self._written_at,
            "pwritev": self._gathered,
            "write": self._written,
            "ftruncate": self._cut,
            "link": self._linked,
            "replace": self._renamed,
            "unlink": self._removed,
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, note in notes.items():
                patch.setattr(os, name, _noted(getattr(os, name), note))
            yield

    def _name(self, path: Any) -> str | None:
        where, name = os.path.split(os.fspath(path))
        return name if where == self._directory else None

    def _opened(self, descriptor: int, path: Any, flags: int, *_mode: int) -> None:
        name = self._name(path)
        if name is None:
            return
        if flags & os.O_CREAT and name not in self._inodes:
            self._made += 1
            self._inodes[name] = self._made
            self.steps.append(Step("create", self._made, name))
        elif flags & os.O_TRUNC:
            self.steps.append(Step("cut", self._inodes[name]))
        if name in self._inodes:
            self._files[descriptor] = self._inodes[name], 0

    def _closed(self, _result: None, descriptor: int) -> None:
        self._files.pop(descriptor, None)

    def _written_at(self, count: int, descriptor: int, data: Any, offset: int) -> None:
        if descriptor in self._files:
            inode, _ = self._files[descriptor]
            self.steps.append(Step("write", inode, offset=offset, data=bytes(memoryview(data).cast("B")[:count])))

    def _gathered(self, count: int, descriptor: int, pieces: Any, offset: int) -> None:
        self._written_at(count, descriptor, b"".join(pieces), offset)

    def _written(self, count: int, descriptor: int, data: Any) -> None:
        if descriptor in self._files:
            inode, position = self._files[descriptor]
            self._written_at(count, descriptor, data, position)
            self._files[descriptor] = inode, position + count

    def _cut(self, _result: None, descriptor: int, size: int) -> None:
        if descriptor in self._files:
            self.steps.append(Step("cut", self._files[descriptor][0], offset=size))

    def _linked(self, _result: None, path: Any, target: Any) -> None:
        name, to = self._name(path), self._name(target)
        if name is not None and to is not None:
            self._inodes[to] = self._inodes[name]
            self.steps.append(Step("link", name=name, target=to))

    def _renamed(self, _result: None, path: Any, target: Any) -> None:
        name, to = self._name(path), self._name(target)
        if name is not None and to is not None:
            self._inodes[to] = self._inodes.pop(name)
            self.steps.append(Step("rename", name=name, target=to))

    def _removed(self, _result: None, path: Any, **_: Any) -> None:
        if (name := self._name(path)) is not None:
            self._inodes.pop(name, None)
            self.steps.append(Step("remove", name=name))

    def killed(self, count: int) -> dict[str, bytes]:
        """Return the files as they are when whoever did it is killed behind the first `count` steps."""
        return _replay(self.steps[:count], [], Random())

    def synced(self, count: int) -> dict[str, bytes]:
        """Return the files as they were at the last sync among the first `count` steps."""
        return _replay(self.steps[: self._last_sync(count)], [], Random())

    def left(self, count: int, random: Random) -> dict[str, bytes]:
        """Return the files that may be there when the power is lost behind the first `count` steps."""
        last = self._last_sync(count)
        return _replay(self.steps[:last], self.steps[last:count], random)

    def _last_sync(self, count: int) -> int:
        return max((number for number in range(count) if self.steps[number].kind == "sync"), default=0)


def _noted(call: Callable[..., Any], note: Callable[..., None]) -> Callable[..., Any]:
    def do(*arguments: Any, **named: Any) -> Any:
        result = call(*arguments, **named)
        note(result, *arguments)
        return result

    return do


def _replay(certain: list[Step], doubtful: list[Step], random: Random) -> dict[str, bytes]:
    names: dict[str, int] = {}
    contents: dict[int, bytearray] = {}
    for step in certain:
        _do(step, names, contents)
    named = [step for step in doubtful if step.kind in _NAMES]
    for step in named[: random.randint(0, len(named))]:
        _do(step, names, contents)
    for step in doubtful:
        if step.kind == "write":
            _do(
                step._replace(data=step.data[: random.choice([0, _half(step), len(step.data)])]),
                names,
                contents,
            )
        elif step.kind == "cut" and random.random() < 0.5:
            _do(step, names, contents)
    return {name: bytes(contents.get(inode, b"")) for name, inode in names.items()}


def _half(step: Step) -> int:
    """Return how many bytes of a write lie in whole sectors, if half of them came to the disk."""
    end = (step.offset + len(step.data) // 2) // _SECTOR_BYTES * _SECTOR_BYTES
    return max(end - step.offset, 0)


def _do(step: Step, names: dict[str, int], contents: dict[int, bytearray]) -> None:
    content = contents.setdefault(step.inode, bytearray())
    if step.kind == "create":
        names[step.name] = step.inode
    elif step.kind == "link":
        names[step.target] = names[step.name]
    elif step.kind == "rename":
        names[step.target] = names.pop(step.name)
    elif step.kind == "remove":
        names.pop(step.name, None)
    elif step.kind == "write" and step.data:
        end = step.offset + len(step.data)
        content.extend(bytes(max(end - len(content), 0)))
        content[step.offset : end] = step.data
    elif step.kind == "cut":
        del content[step.offset :]
        content.extend(bytes(step.offset - len(content)))
