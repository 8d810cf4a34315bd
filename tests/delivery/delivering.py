"""A deliverer that is run without threads and time, against a store that does what it is told."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from media.delivery.contents import sha256_of
from media.delivery.deliverer import Deliverer
from media.delivery.jobs import Job, JobFolder
from media.delivery.messages import Message, Said, Saved, Trouble
from media.delivery.settings import DeliverySettings
from media.delivery.stores import Store
from media.sinks.finished import FinishedRecording
from strep.clock import ManualClock


class MemoryStore:
    """Objects in memory; `before` is asked at each request, and may raise, and `damage` what becomes of bytes."""

    url = "memory://there"

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.puts: list[str] = []
        self.before: Callable[[str, str], None] = lambda _verb, _key: None
        self.damage: Callable[[bytes], bytes] = bytes

    def exists(self, key: str) -> bool:
        self.before("exists", key)
        return key in self.objects

    def has(self, key: str, path: Path, sha256: str) -> bool:
        self.before("has", key)
        assert sha256_of(path) == sha256
        return self.objects.get(key) == path.read_bytes()

    def put(self, path: Path, key: str) -> None:
        self.before("put", key)
        self.puts.append(key)
        self.objects[key] = self.damage(path.read_bytes())
        self.before("answer", key)

    def location(self, key: str) -> str:
        return f"{self.url}/{key}"


class Delivering:
    """A directory, and one process after another that delivers it."""

    def __init__(self, settings: DeliverySettings, store: Store | None) -> None:
        self.settings, self.store = settings, store
        self.clock = ManualClock()
        self.told: list[Message] = []
        self.folder = JobFolder(settings.directory)
        self.deliverer = self.process()

    def process(self, *, is_first: bool = True) -> Deliverer:
        """Return another process; the one before is dead."""
        settings = replace(self.settings, is_first=is_first)
        self.deliverer = Deliverer(settings, self.clock, self.told.append, self.store, random.Random(1))
        return self.deliverer

    def hand_over(self, *recordings: FinishedRecording) -> None:
        self.folder.make()
        for recording in recordings:
            self.folder.write(Job.of(recording, self.clock.wall_ns()))

    def run(self, hours: float = 1.0) -> None:
        """Work until nothing is to be done any more, or for so long."""
        until_ns = self.clock.now_ns() + round(hours * 3600e9)
        while self.clock.now_ns() < until_ns:
            self.deliverer.look()
            self.deliverer.watch()
            job = self.deliverer.next()
            if job is not None:
                self.deliverer.apply(self.deliverer.work(job))
            elif not len(self.deliverer.schedule):
                return
            else:
                deadline_ns = self.deliverer.schedule.deadline()
                self.clock.advance(max(min(deadline_ns, until_ns) - self.clock.now_ns(), 1))

    @property
    def saved(self) -> list[Saved]:
        return [message for message in self.told if isinstance(message, Saved)]

    @property
    def troubles(self) -> list[Trouble]:
        return [message for message in self.told if isinstance(message, Trouble)]

    @property
    def said(self) -> list[str]:
        return [message.text for message in self.told if isinstance(message, Said)]
