"""How long a test waits for what must come: long, because machines may be slow; it only bounds what never comes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

PATIENCE_S = 300.0


def wait_until(condition: Callable[[], Any]) -> Any:
    """Return what `condition` returns once it is true."""
    pause = threading.Event()
    for _ in range(round(PATIENCE_S / 0.02)):
        if value := condition():
            return value
        pause.wait(0.02)
    raise AssertionError("it did not come to pass")
