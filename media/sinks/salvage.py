"""`Salvage`: recordings that a dead process left behind and nobody goes on with are finished.

They are found when the server starts, by their sidecars and the lock that is missing, and finished when their calls
had time to be heard of again (`media.sinks.continuation`). That takes a thread of its own: a directory may be large.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from media.sinks.continuation import lock_left_behind
from media.sinks.contract import CallInfo
from media.sinks.finisher import Closed, Finisher, finished_recording
from media.sinks.rewriting import remove_left_over
from media.sinks.sidecar import Sidecar, read_unfinished, replace
from media.sinks.wav import WavFile
from strep.clock import NS_PER_SECOND

_LOG = logging.getLogger(__name__)

ERROR = "the recorder died, and the call was not heard of again"


class Salvage:
    """Looks through a directory at once, and finishes what it found later; `stop` leaves it to the next start.

    Attributes:
        finished: recordings finished.
    """

    def __init__(self, directory: Path, wait_s: float, finisher: Finisher | None = None) -> None:
        """Prepare.

        Args:
            directory: of the recordings.
            wait_s: how long after the start a call may still go on.
            finisher: what gets those that are finished, as it gets others that are closed.
        """
        self.finished = 0
        self._finisher = finisher
        self._directory = directory
        self._wait_s = wait_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="salvage", daemon=True)

    def start(self) -> None:
        """Begin, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop soon."""
        self._stopping.set()

    def join(self) -> None:
        """Wait for the end."""
        self._thread.join()

    def _run(self) -> None:
        found = list(self._found())
        if found:
            _LOG.info("%d recordings were left behind by a process that died", len(found))
        if not found or self._stopping.wait(self._wait_s):
            return
        for path in found:
            if self._stopping.is_set():
                return
            try:
                document = finish(path)
                if document is not None:
                    self.finished += 1
                    self._hand_over(path, document)
            except (OSError, ValueError) as error:
                _LOG.warning("recording %s was left behind and cannot be finished: %s", path.stem, error)

    def _hand_over(self, path: Path, document: Sidecar) -> None:
        if self._finisher is None or document.file is None:
            return
        about = document.door, document.started_wall_ns, document.sample_rate_hz, document.identity
        call = CallInfo(-1, document.call_id, *about)
        length_ns = document.length_samples * NS_PER_SECOND // document.sample_rate_hz
        recording = finished_recording(call, path.with_name(document.file), document, 0)
        recording = dataclasses.replace(recording, ended_wall_ns=recording.started_wall_ns + length_ns)
        single = document.take.track if document.take and document.take.channels == "single" else None
        self._finisher.put(Closed(recording, document, single=single))

    def _found(self) -> Iterator[Path]:
        """Yield the sidecars of recordings that nobody writes."""
        try:
            with os.scandir(self._directory) as entries:
                for entry in entries:
                    if self._stopping.is_set():
                        return
                    if (
                        not remove_left_over(Path(entry.path))
                        and entry.name.endswith(".json")
                        and is_left_behind(Path(entry.path))
                    ):
                        yield Path(entry.path)
        except OSError as error:
            _LOG.debug("%s cannot be looked through: %s", self._directory, error)


def is_left_behind(path: Path) -> bool:
    """Whether the sidecar at `path` says that its audio is being recorded, and nobody does."""
    try:
        document = read_unfinished(path)
        wav = WavFile.reopen(path.with_name(document.file)) if document and document.file else None
    except (OSError, ValueError):
        return False
    if wav is not None:
        wav.let_go()
    return wav is not None


def finish(path: Path) -> Sidecar | None:
    """Bring the file of the sidecar at `path` to its end, and return what it says then; None: somebody else has it.

    Raises:
        OSError: the disk does not let us.
        ValueError: the audio is no file of ours.
    """
    document = read_unfinished(path)
    wav = lock_left_behind(path.with_name(document.file), path) if document and document.file else None
    if wav is None or document is None:
        return None
    document = msgspec.structs.replace(
        document,
        state="failed",
        error=ERROR,
        format=wav.encoding.label,
        length_samples=wav.length_samples,
        clock=None,
    )
    try:
        wav.flush_header()
        replace(path, document)
    finally:
        wav.close()
    _LOG.warning("recording %s was left behind and is finished", path.stem)
    return document
