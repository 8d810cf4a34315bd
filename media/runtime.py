"""How our processes run Python: the event loop, the garbage collector, turns of threads, and on how many cores."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Callable

GC_THRESHOLDS = 10_000, 10, 50
"""Of the three generations, in objects and in looks at the one before."""
TURN_S = 0.001
"""How long a thread keeps Python's lock when another one wants it. With Python's own 5 ms reception, which wants it
after every wait, was three times as late beside a sink that never rests; with half of this it was no earlier."""


def count_cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's if it is installed, None for asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def shorten_turns() -> None:
    """Let reception have its turn soon, whatever sinks do in Python."""
    sys.setswitchinterval(TURN_S)


def freeze_heap() -> None:
    """Keep the garbage collector's looks short: one at everything took 20 ms, and 60 with 500 calls, amid calls.

    What the program is made of it sees no more, and what calls are made of only after five million new objects.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
