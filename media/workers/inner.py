"""`InnerDoors`: where workers serve their supervisor's HTTP door: one Unix socket each, in a folder for us alone.

They are bound before the workers begin and stay when one dies: who asks meanwhile waits for the next one.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
from pathlib import Path

BACKLOG = 128


class InnerDoors:
    """The sockets, listening; nobody but processes of this user can reach them.

    Attributes:
        paths: by the number of the worker.
        sockets: likewise.
    """

    def __init__(self, workers: int) -> None:
        """Bind them.

        Raises:
            OSError: the folder for temporary files cannot be written to, or its name is too long for a socket's.
        """
        self._directory = Path(tempfile.mkdtemp(prefix="strep-"))
        self.paths = [self._directory / f"{index}.sock" for index in range(workers)]
        self.sockets: list[socket.socket] = []
        try:
            for path in self.paths:
                sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self.sockets.append(sock)
                sock.bind(str(path))
                sock.listen(BACKLOG)
                sock.setblocking(False)
        except OSError as error:
            self.close()
            raise OSError(error.errno, f"{self._directory}: {error.strerror or error}") from error

    def close(self) -> None:
        """Close the sockets and remove the folder; a second call does nothing."""
        for sock in self.sockets:
            sock.close()
        shutil.rmtree(self._directory, ignore_errors=True)
