"""Where a successor asks: one process listens there, and only its own user can connect."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from media.handover.link import listen
from strep.mmsg import IS_SUPPORTED

pytestmark = pytest.mark.skipif(not IS_SUPPORTED, reason="needs Linux")


def test_of_two_first_ones_one_is_the_first(tmp_path: Path) -> None:
    path = tmp_path / "hand-over"
    mask = os.umask(0)
    try:
        first = listen(path)
    finally:
        os.umask(mask)
    with first:
        assert path.stat().st_mode & 0o777 == 0o600
        with pytest.raises(OSError, match="another process has begun to; start again"):
            listen(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as successor:
            successor.connect(str(path))
    with listen(path):
        assert path.is_socket()


def test_a_folder_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"cannot wait for a successor at .*: No such file or directory"):
        listen(tmp_path / "nowhere" / "hand-over")
