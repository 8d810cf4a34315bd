"""Files of recordings: WAV in clear, or sealed where somebody is named who can open them.

``CALL.wav`` and ``CALL.wav.sealed`` have the same sidecar, ``CALL.json``: no two recordings share a name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from media.sealing.keys import Recipients
from media.sealing.records import SUFFIX
from media.sinks.sealed import SealedWav
from media.sinks.wav import Encoding, WavFile, create_unused

SEALED_WAV: Final = "wav.sealed"
_WAV, _SEALED = ".wav", f".{SEALED_WAV}"
AudioFile = WavFile | SealedWav


def create(
    directory: Path, name: str, encoding: Encoding, sample_rate_hz: int, recipients: Recipients = ()
) -> AudioFile:
    """Create the file of a recording; see `media.sinks.wav.create_unused`.

    Raises:
        OSError: none can be made.
    """
    if not recipients:
        return WavFile.create(directory, name, encoding, sample_rate_hz)
    return create_unused(directory, name, _SEALED, lambda path: SealedWav(path, encoding, sample_rate_hz, recipients))


def reopen(
    path: Path, recipients: Recipients = (), described: tuple[Encoding, int] | None = None
) -> AudioFile | None:
    """Open a file that was left behind; None if somebody writes it. `described`: see `WavFile.reopen`.

    Raises:
        ValueError: it is no file of ours.
        OSError: it cannot be read and written.
    """
    return SealedWav.reopen(path, recipients) if is_sealed(path) else WavFile.reopen(path, described)


def is_sealed(path: Path) -> bool:
    """Return whether this is the name of a sealed file."""
    return path.name.endswith(SUFFIX)


def stem_of(path: Path) -> str:
    """Return the name of a recording, without what its audio file ends in."""
    return path.name.removesuffix(SUFFIX).removesuffix(_WAV)


def sidecar_of(path: Path) -> Path:
    """Return where the sidecar of an audio file is."""
    return path.with_name(f"{stem_of(path)}.json")
