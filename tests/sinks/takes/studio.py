"""A call of which takes are recorded beside the whole, as a server does it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import soundfile
from numpy.typing import NDArray

from media.events.kinds import Event
from media.sinks.contract import CallInfo
from media.sinks.finished import FinishedRecording
from media.sinks.finisher import Finisher
from media.sinks.recording import RecordingSink
from media.sinks.sidecar import SCHEMA_PATH
from media.sinks.takes.sink import TakesSink
from media.talk.recording import Recorder, TakeHandle, options_of
from strep import rtp
from strep.g711 import Codec, encode
from strep.header import Direction
from strep.rtp import RtpPacket
from tests.media.harness import Directly
from tests.media.world import FRAME, World
from tests.patience import PATIENCE_S

FRAME_MS, RATE = 20, 8000
SCHEMA = json.loads(SCHEMA_PATH.read_text())
Frames = NDArray[np.int16]


class Studio(World):
    """A call, its recording, takes of it, and everything that happens at once."""

    def __init__(self, directory: Path, look_back_s: float = 0.0) -> None:
        super().__init__()
        self.told: list[tuple[CallInfo, Event]] = []
        self.finisher = Finisher(lambda call, event: self.told.append((call, event)))
        self.recording = RecordingSink(directory, clock=self.clock, finisher=self.finisher)
        self.takes = TakesSink(directory, self.finisher, self.clock, look_back_s)
        self.engine._outlets += [Directly(self.recording), Directly(self.takes)]
        self.recorder = Recorder(self.engine, lambda call, event: self.told.append((call, event)), self.takes)
        self.directory, self.number = directory, 0
        self.loudness = {Direction.INBOUND: 8000.0, Direction.OUTBOUND: 4000.0}
        self._noise = np.random.default_rng(5)

    @property
    def call(self) -> CallInfo:
        return self.ear.started[0]

    def speak(
        self, frames: int, skip: tuple[int, ...] = (), directions: tuple[Direction, ...] = tuple(Direction)
    ) -> None:
        for _ in range(frames):
            for direction in directions:
                pcm = (
                    self._noise.normal(0, self.loudness[direction] or 1e-9, FRAME)
                    .clip(-30000, 30000)
                    .astype(np.int16)
                )
                payload = encode(pcm, Codec.PCMU).tobytes()
                packet = RtpPacket(0, self.number, self.number * FRAME, 7 + direction, payload)
                if self.number not in skip:
                    self.send_strep(rtp.serialize(packet), 1, direction)
            self.number += 1
            self.tick(FRAME_MS)

    def start(self, **options: Any) -> TakeHandle:
        return self.recorder.start(self.call, options_of(options))

    def end(self) -> None:
        self.engine.end_all("shutdown")
        self.takes.close()
        self.recording.close()
        self.work()

    def work(self) -> None:
        """Do what the finisher's thread would do by now."""
        while self.finisher._waiting.qsize():
            self.finisher.step()

    def whole(self) -> Frames:
        return read(self.directory / f"{self.call.call_id}.wav")

    def names(self) -> list[str]:
        return [event.NAME for _, event in self.told]


def read(path: Path) -> Frames:
    frames: Frames = soundfile.read(path, dtype="int16", always_2d=True)[0]
    return frames


def sidecar_of(recording: FinishedRecording) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(recording.sidecar.read_bytes())
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    return document


def in_a_loop(test: Callable[[Studio], Any], directory: Path, **studio: Any) -> Any:
    async def run() -> Any:
        return await test(Studio(directory, **studio))

    return asyncio.run(run())


async def saved(take: TakeHandle) -> FinishedRecording:
    return await asyncio.wait_for(take.saved(), PATIENCE_S)
