"""What is done to a sealed recording once it is closed: something is added to it that says what to leave out of it.

That takes no key but the public ones, so it can be done by any process, at any time.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from media.sealing.keys import Recipients
from media.sinks.sealed import SealedWav
from media.sinks.wav import Encoding


def edit(path: Path, recipients: Recipients, omit: Sequence[tuple[int, int]], single: str | None) -> int:
    """Add to a closed file what is to be left out of it; see `SealedWav.edit`. What there is stays as it is.

    Raises:
        OSError: it cannot be done, or somebody has the file.
        ValueError: it is no file of ours, or none of which this can be made.
    """
    file = SealedWav.reopen(path, recipients)
    if file is None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(path))
    try:
        if single is not None and file.encoding is not Encoding.PCM16:
            raise ValueError(f"{path.name} is {file.encoding.label}: only PCM can be mixed")
        length = file.edit(omit, single)
        if file.was_complete:  # else its end is missing, which this cannot make good
            file.close()
    finally:
        file.let_go()
    return length


def edited_length(path: Path) -> int | None:
    """Return the length that an `edit` of the file has left; None: there was none.

    Raises:
        OSError: it cannot be read, or somebody has it.
        ValueError: it is no file of ours.
    """
    file = SealedWav.reopen(path, ())
    if file is None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(path))
    file.let_go()
    return file.edited_samples if file.is_complete else None
