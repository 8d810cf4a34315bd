"""Engines that do as they are told, in this process and, installed as a plug-in, in a worker."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from media.transcribing.contract import Pcm, Recognizer, Result, TranscriptionError, Word

DIST_INFO = "scripted_engines-1.dist-info"
ROOT = Path(__file__).resolve().parent.parent.parent


class ScriptedEngine:
    """Says how many samples it was given; what is louder than a limit has it hang, crash or fail.

    Each time in a process of its own: one that comes after does not, if `once` names a file.
    """

    def __init__(
        self,
        rate: str = "0",
        hang: str = "",
        crash: str = "",
        fail: str = "",
        once: str = "",
        slow: str = "",
        shout: str = "",
        tag: str = "",
    ) -> None:
        self.sample_rate_hz = int(rate)
        self._limits = {
            name: int(limit) for name, limit in (("hang", hang), ("crash", crash), ("fail", fail)) if limit
        }
        self._once, self._slow_s, self._shout = once, float(slow or 0), shout

    def load(self) -> None:
        if self._shout:
            os.write(1, f"{self._shout}\n".encode())

    def open(self, sample_rate_hz: int) -> Recognizer:
        return ScriptedRecognizer(self)

    def act(self, pcm: Pcm) -> None:
        if self._slow_s:
            threading.Event().wait(self._slow_s)
        loudest = max(int(pcm.max(initial=0)), -int(pcm.min(initial=0)))
        for what, limit in self._limits.items():
            if loudest <= limit or (self._once and os.path.exists(self._once)):
                continue
            if self._once:
                Path(self._once).touch()
            if what == "hang":
                threading.Event().wait()
            elif what == "crash":
                os.kill(os.getpid(), 11)
            else:
                raise TranscriptionError("it is too loud")


class ScriptedRecognizer(Recognizer):
    def __init__(self, engine: ScriptedEngine) -> None:
        self._engine = engine
        self._given = self._final = 0

    def accept(self, pcm: Pcm) -> Sequence[Result]:
        self._engine.act(pcm)
        self._given += len(pcm)
        return [self._result(is_final=False)]

    def finish(self) -> Sequence[Result]:
        result = self._result(is_final=True)
        self._final = self._given
        return [result]

    def _result(self, *, is_final: bool) -> Result:
        text = f"{self._given - self._final} samples"
        return Result(text, is_final, [Word(text, self._final, self._given, 0.5)], 0.5)


class NoEngine:
    """Something else."""


class RefusingEngine(ScriptedEngine):
    def load(self) -> None:
        raise OSError("no such model")


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install these engines as a package of others, for this process and for workers."""
    info = folder / DIST_INFO
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: scripted-engines\nVersion: 1\n")
    here = "tests.transcribing.scripted"
    points = {"scripted": "ScriptedEngine", "refusing": "RefusingEngine", "none": "NoEngine", "gone": "Gone"}
    lines = [f"{name} = {here}:{attribute}" for name, attribute in points.items()]
    (info / "entry_points.txt").write_text("[strep.transcribers]\n" + "\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(folder))
    paths = [str(folder), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    assert sys.path[0] == str(folder)
