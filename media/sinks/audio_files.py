"""Files of recordings: WAV in clear, or sealed where somebody is named who can open them.

``CALL.wav`` and ``CALL.wav.sealed`` have the same sidecar, ``CALL.json``: no two recordings share a name.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from media.sealing.keys import Recipients
from media.sealing.records import SUFFIX
from media.sinks.naming import create_unused
from media.sinks.sealed import SealedWav
from media.sinks.wav import Encoding, WavFile

SEALED_WAV: Final = "wav.sealed"
_WAV, _SEALED = ".wav", f".{SEALED_WAV}"
AudioFile = WavFile | SealedWav


def create(
    directory: Path, name: str, encoding: Encoding, sample_rate_hz: int, recipients: Recipients = ()
) -> AudioFile:
    """Create the file of a recording; see `media.sinks.naming.create_unused`.

    A process may have been killed when it had made the file of the call and not yet its sidecar: it is this one then.

    Raises:
        OSError: none can be made.
    """

    def make(path: Path) -> AudioFile:
        try:
            if recipients:
                return SealedWav(path, encoding, sample_rate_hz, recipients)
            return WavFile(path, encoding, sample_rate_hz)
        except FileExistsError:
            begun = _only_begun(path, encoding, sample_rate_hz, recipients)
            if begun is None:
                raise
            return begun

    return create_unused(directory, name, _SEALED if recipients else _WAV, make)


def _only_begun(path: Path, encoding: Encoding, sample_rate_hz: int, recipients: Recipients) -> AudioFile | None:
    """Return the file at `path` if a dead process made it, and neither wrote into it nor said what it is."""
    try:
        file = reopen(path, recipients, (encoding, sample_rate_hz))
    except (OSError, ValueError):
        return None
    if file is None:
        return None
    if file.length_samples or file.sample_rate_hz != sample_rate_hz or sidecar_of(path).exists():
        file.let_go()
        return None
    file.set_encoding(encoding)
    return file


def reopen(
    path: Path, recipients: Recipients = (), described: tuple[Encoding, int] | None = None
) -> AudioFile | None:
    """Open a file that was left behind; None if somebody writes it. `described`: see `WavFile.reopen`.

    Raises:
        ValueError: it is no file of ours.
        OSError: it cannot be read and written.
    """
    return SealedWav.reopen(path, recipients) if is_sealed(path) else WavFile.reopen(path, described)


def patch(file: AudioFile, channel: int, position_samples: int, samples: NDArray[Any]) -> None:
    """Put samples of one channel in their place; see `WavFile.patch`."""
    file.patch(channel, position_samples, samples)


def blank(file: AudioFile, channel: int, position_samples: int, samples: NDArray[Any]) -> None:
    """Put samples in place of what must not be in the file any more; see `SealedWav.blank`."""
    put = file.blank if isinstance(file, SealedWav) else file.patch
    put(channel, position_samples, samples)


def close(file: AudioFile, *, is_whole: bool) -> None:
    """Close a file; one that is sealed without its end unless it is whole, for that would say so."""
    if is_whole or not isinstance(file, SealedWav):
        file.close()
    else:
        file.let_go()


def is_sealed(path: Path) -> bool:
    """Return whether this is the name of a sealed file."""
    return path.name.endswith(SUFFIX)


def stem_of(path: Path) -> str:
    """Return the name of a recording, without what its audio file ends in."""
    return path.name.removesuffix(SUFFIX).removesuffix(_WAV)


def sidecar_of(path: Path) -> Path:
    """Return where the sidecar of an audio file is."""
    return path.with_name(f"{stem_of(path)}.json")


def unused_sidecar(directory: Path, name: str) -> Path:
    """Return where the sidecar of a recording goes that has no file."""
    path, number = directory / f"{name}.json", 1
    while os.path.lexists(path):
        number += 1
        path = directory / f"{name}.{number}.json"
    return path
