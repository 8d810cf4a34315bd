"""What a deliverer finds, and what is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from media.delivery.jobs import FOLDER
from media.delivery.settings import DeliverySettings
from media.delivery.stores import DirectoryStore
from tests.delivery.delivering import Delivering, MemoryStore

KEY = "2023-11-14/call-1"


def delivering(directory: Path, store: MemoryStore | DirectoryStore | None = None, **settings: Any) -> Delivering:
    url = store.url if store else ""
    return Delivering(DeliverySettings(str(directory), url=url, **settings), store)


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir() if path.name != FOLDER}


def left_over(directory: Path) -> list[str]:
    return [path.name for path in (directory / FOLDER).iterdir()]
