"""Kill a server at random moments under calls, open every file each time, and look at the end what became of them.

``make kills`` does it at length; `tests.kills.test_kills` in short.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.kills.carrier import RATE_HZ, Carrier
from tests.kills.opened import ffprobe_samples, soxi_samples
from tests.kills.verdict import Verdict, judge

_READY_S = 300.0
_HEADER_BYTES, _FRAME_BYTES = 80, 4


class Kill(NamedTuple):
    """What was known when the server was killed.

    Attributes:
        stated: what each file says that it has, in samples, by call, before anybody repairs it.
        since: (calls,) samples of each call that had been sent when the server was there.
        sent: (calls,) samples that had been sent when it was not any more.
    """

    stated: dict[str, int]
    since: NDArray[np.int64]
    sent: NDArray[np.int64]


@dataclass
class Losses:
    """What was found.

    Attributes:
        lost_ms: per kill and call, what had been sent to the server and is not in the file as it lay there.
        opened: files that soxi opened, and ffprobe.
        verdicts: of each call, at the end.
    """

    lost_ms: list[float] = field(default_factory=list)
    opened: dict[str, int] = field(default_factory=lambda: {"soxi": 0, "ffprobe": 0})
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def complaints(self) -> list[str]:
        """What must not be, over all calls."""
        return [complaint for verdict in self.verdicts for complaint in verdict.complaints]


class Campaign:
    """A carrier, a directory of recordings, and a server that is killed again and again.

    Args:
        folder: for all of it.
        calls: at once.
        workers: 0 for a server of one process, which is killed; else one of so many is, and the others go on.
        probed: files that ffprobe opens after each kill, in turn; soxi opens all.
        seed: of the moments, and of what is said.
    """

    def __init__(self, folder: Path, calls: int, *, workers: int = 0, probed: int = 20, seed: int = 1) -> None:
        self.losses = Losses()
        self._kills: list[Kill] = []
        self._recordings, self._workers, self._probed = folder / "recordings", workers, probed
        self._random = random.Random(seed)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self._port = int(free.getsockname()[1])
        self._server = self._start()
        self._carrier = Carrier(calls, self._port, folder, seed)
        self._since = self._carrier.sent_samples()  # what was sent when the server was there

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "media.cli", "serve", "--udp", f"127.0.0.1:{self._port}"]
        command += ["--record", str(self._recordings), "--log-level", "error", "--idle-timeout", "120"]
        command += ["--drain-timeout", "0"]
        if self._workers:
            command += ["--workers", str(self._workers)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert server.stdout is not None
        assert server.stdout.readline().startswith("ready"), "it does not start"
        return server

    def paths(self) -> list[Path]:
        """Return the recordings that there are."""
        return sorted(self._recordings.glob("*.wav"))

    def wait_for_audio(self, length_bytes: int = 1) -> None:
        """Wait until every file has grown by so much since the last kill."""
        sizes = {path: path.stat().st_size for path in self.paths()}
        deadline_s = time.monotonic() + _READY_S
        while True:
            paths = self.paths()
            if len(paths) == len(self._carrier.names) and all(
                path.stat().st_size >= sizes.get(path, _HEADER_BYTES) + length_bytes for path in paths
            ):
                return
            assert time.monotonic() < deadline_s, "a call is not recorded"
            time.sleep(0.05)

    def kill(self, after_s: float) -> None:
        """Let it record for a while, kill it, look at every file, and start it again."""
        threading.Event().wait(after_s)
        if self._workers:
            self._kill_worker()
            return
        os.killpg(self._server.pid, signal.SIGKILL)
        sent = self._carrier.sent_samples()
        self._reap()
        self._kills.append(Kill(self._look(), self._since, sent))
        self._server = self._start()
        self._since = self._carrier.sent_samples()

    def _kill_worker(self) -> None:
        """Kill one that records; whether a file is valid does not depend on whether somebody writes it."""
        pid = self._server.pid
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        recordings = {path.stat().st_ino for path in self.paths()}
        victims = [child for child in children if _records(child, recordings)]
        if victims:
            os.kill(self._random.choice(victims), signal.SIGKILL)
        self._look()

    def _look(self) -> dict[str, int]:
        """Open every file; return the length that each says it has, by call."""
        paths = self.paths()
        stated = soxi_samples(paths)
        probed = self._random.sample(paths, min(self._probed, len(paths)))
        by_ffprobe = ffprobe_samples(probed)
        if not self._workers:  # else they grow meanwhile
            assert by_ffprobe == {path: stated[path] for path in probed}
        for path, samples in stated.items():
            assert path.stat().st_size >= _HEADER_BYTES + samples * _FRAME_BYTES, (
                f"{path.name} says more than there is"
            )
        self.losses.opened["soxi"] += len(stated)
        self.losses.opened["ffprobe"] += len(by_ffprobe)
        return {path.stem: samples for path, samples in stated.items()}

    def end(self) -> Losses:
        """Let the carrier and then the server end, and judge every call."""
        self._carrier.stop()
        sent = self._carrier.sent_samples()
        self._server.terminate()
        self._reap()
        paths = self.paths()
        assert soxi_samples(paths) == ffprobe_samples(paths)
        for name, samples in zip(self._carrier.names, sent.tolist(), strict=True):
            self.losses.verdicts.append(judge(self._recordings, name, self._carrier.loop, samples))
        self.losses.lost_ms = [
            max(int(kill.sent[call]) - max(verdict.has_until(kill.stated.get(name, 0)), int(kill.since[call])), 0)
            * 1000
            / RATE_HZ
            for kill in self._kills
            for call, (name, verdict) in enumerate(zip(self._carrier.names, self.losses.verdicts, strict=True))
        ]
        return self.losses

    def close(self) -> None:
        """Leave nothing behind that runs."""
        self._carrier.stop()
        with suppress(ProcessLookupError):
            os.killpg(self._server.pid, signal.SIGKILL)
        self._reap()

    def _reap(self) -> None:
        self._server.wait()
        assert self._server.stdout is not None
        self._server.stdout.close()


def _records(pid: int, recordings: set[int]) -> bool:
    try:
        return any(entry.stat().st_ino in recordings for entry in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # gone, or a descriptor is
        return False


def summary(values: list[float] | list[int] | NDArray[np.int64]) -> str:
    """Return the middle, the 99th percentile and the largest of `values`."""
    if not len(values):
        return "none"
    p50, p99, most = np.percentile(values, [50, 99, 100])
    return f"p50 {p50:.0f}, p99 {p99:.0f}, max {most:.0f} (n {len(values)})"
