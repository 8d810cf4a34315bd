"""The measured process: one server of media streams on one core, and a meter that is read on request.

As a program: ``python -m benchmarks.websocket_receiver CONTENDER DIRECTORY``; as `benchmarks.receiver` in all else.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from benchmarks.child import answer
from benchmarks.contenders.streams import create
from benchmarks.kernel import RECEIVER_CPU, pin
from benchmarks.receiver import serve, take_mark


def main() -> None:
    """Run the contender of the arguments."""
    pinned = pin(RECEIVER_CPU)
    contender = create(sys.argv[1], Path(sys.argv[2]))

    def ready(port: int) -> None:
        answer({"port": port, "pinned": pinned})
        threading.Thread(target=serve, args=(contender,), name="meter", daemon=True).start()

    contender.run(ready)
    answer(take_mark(contender))
    answer(contender.evidence())


if __name__ == "__main__":
    main()
