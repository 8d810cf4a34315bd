"""What two processes say to each other, over a Unix socket that keeps message boundaries.

::

    successor                              the process that runs
    Hello: format, doors            ->
                                    <-     Offer: doors; or Refused, and all goes on as it was
    Ready: all it has is started    ->     leaves in the kernel what comes, takes its calls out
                                    <-     Calls, with descriptors: where the calls are, this socket, the doors
    Taken: nothing can fail now     ->
    receives                        <-     Yours: ends its media streams, and itself

Calls are of one of both at any moment. Until `Yours` they are the old one's: without `Taken` in time it says
`TakenBack` and goes on, and the successor has touched neither a packet nor a file. If the old one is gone, without a
word, when the successor has said `Taken`, it has died, and the calls are the successor's.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from strep.errors import ConfigurationError

MAX_MESSAGE_BYTES = 1 << 16
MAX_DESCRIPTORS = 250
"""What one message can carry (unix(7), SCM_MAX_FD is 253)."""
_CREDENTIALS = struct.Struct("=3i")
BACKLOG = 4


class Hello(msgspec.Struct, tag=True):
    """I want to take over: these are my doors, by the names of `BoundSockets.named`."""

    format: int
    doors: dict[str, str]


class Offer(msgspec.Struct, tag=True):
    """These are the doors, and where."""

    doors: dict[str, str]


class Refused(msgspec.Struct, tag=True):
    """I keep what I have; one line."""

    text: str


class Ready(msgspec.Struct, tag=True):
    """Hand over."""


class Calls(msgspec.Struct, tag=True):
    """Descriptors come along: a file with `media.handover.moved.Moved`, the socket of this link, those named.

    Attributes:
        sockets: names of those doors.
        began_ns: since when nobody receives, by the machine's monotonic clock.
    """

    sockets: list[str]
    began_ns: int


class Taken(msgspec.Struct, tag=True):
    """I understand it all, and have place for it."""


class Yours(msgspec.Struct, tag=True):
    """Go on with it: I do not."""


class TakenBack(msgspec.Struct, tag=True):
    """I go on with it: you were too slow."""


Message = Hello | Offer | Refused | Ready | Calls | Taken | Yours | TakenBack


class LinkError(ConfigurationError):
    """The other process said no, or something that cannot be; one line."""


class Link:
    """One end of a conversation."""

    def __init__(self, sock: socket.socket) -> None:
        """Talk over a connected socket."""
        self._sock = sock
        sock.setblocking(False)

    @property
    def peer_uid(self) -> int:
        """The user whose process the other end is (unix(7), SO_PEERCRED)."""
        raw = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return int(_CREDENTIALS.unpack(raw)[1])

    def say(self, message: Message, descriptors: tuple[int, ...] = ()) -> None:
        """Send a message.

        Raises:
            OSError: nobody is there.
        """
        socket.send_fds(self._sock, [msgspec.json.encode(message)], list(descriptors))

    async def hear(self, timeout_s: float) -> tuple[Message | None, list[int]]:
        """Return the next message and the descriptors that came with it; None when the other end is gone.

        Raises:
            LinkError: it says nothing in time, or what cannot be understood.
        """
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._sock, readable.set)
        try:
            async with asyncio.timeout(timeout_s):
                await readable.wait()
        except TimeoutError:
            raise LinkError(f"hand_over: the other process has said nothing for {timeout_s:g} s") from None
        finally:
            loop.remove_reader(self._sock)
        data, descriptors = self._receive()
        if not data:
            return None, []
        try:
            return msgspec.json.decode(data, type=Message), descriptors
        except msgspec.MsgspecError as error:
            for descriptor in descriptors:
                os.close(descriptor)
            raise LinkError(f"hand_over: the other process is of another version: {error}") from None

    def _receive(self) -> tuple[bytes, list[int]]:
        for _ in range(2):  # one that hangs up on a word of ours is an error first, and its last word comes behind
            with suppress(OSError):
                data, descriptors, flags, _ = socket.recv_fds(self._sock, MAX_MESSAGE_BYTES, MAX_DESCRIPTORS)
                if not flags & socket.MSG_CTRUNC:
                    return data, descriptors
                for descriptor in descriptors:
                    os.close(descriptor)
                raise LinkError("hand_over: not all sockets came through: too many open files? (ulimit -n)")
        return b"", []

    def close(self) -> None:
        """Hang up."""
        self._sock.close()


def listen(path: Path) -> socket.socket:
    """Return a socket that listens at `path`, for this user only; one that nobody listens at any more is replaced.

    Raises:
        OSError: it cannot be made; the text says where.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with _alone_in(path.parent):
            _remove_dead(path)
            sock.bind(str(path))
            path.chmod(0o600)  # nobody can connect before it listens
            sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot wait for a successor at {path}: {error.strerror}") from error
    return sock


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes that want to listen in `folder` waiting: of two first ones one is to be the first."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_dead(path: Path) -> None:
    """Remove a socket that nobody listens at."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError:
            pass  # it has more to do than it can, or is another user's
    raise OSError(errno.EADDRINUSE, "another process has begun to; start again, to take over from it")


def connect(path: Path) -> Link | None:
    """Return a link to the process at `path`; None if there is none.

    Raises:
        LinkError: another user's process, which this one does not trust.
        OSError: it cannot be reached; the text says why.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        sock.connect(str(path))
    except OSError as error:
        sock.close()
        if error.errno in (errno.ENOENT, errno.ECONNREFUSED):
            return None
        raise OSError(error.errno, f"cannot take over at {path}: {error.strerror}") from error
    link = Link(sock)
    if (uid := link.peer_uid) != os.getuid():
        link.close()
        raise LinkError(f"hand_over: the process at {path} is another user's (uid {uid})")
    return link
