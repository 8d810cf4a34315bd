"""Shell: the process of an engine, ``python -m media.transcribing.worker DESCRIPTOR SERVER``; started by `process`.

It ends when the server's end of the socket is closed. One that is busy then, or hangs, is killed by the kernel when
the server's thread that started it is gone, so none is left behind by a server that is killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import sys

from media.transcribing.messages import Parser, Ready, Refused, Reply, Setup, serialize
from media.transcribing.plugins import EngineChoice, make_engine
from media.transcribing.recognizers import Recognizers, printable
from strep.errors import ConfigurationError

NICENESS = 5
"""Of its priority: where the cores are short, receiving calls goes first."""
POLL_S = 0.1
"""How often what comes by itself is asked for."""
_READ_BYTES = 1 << 18
_PR_SET_PDEATHSIG = 1


def run(sock: socket.socket) -> None:
    """Serve until the socket is closed."""
    parser = Parser()
    recognizers: Recognizers | None = None
    poller = (
        select.poll()
    )  # select() knows no descriptor beyond 1023, and ours has the number that the server gave it
    poller.register(sock, select.POLLIN)
    while True:
        if poller.poll(POLL_S * 1000):
            data = sock.recv(_READ_BYTES)
            if not data:
                break
            for order in parser.orders(data):
                if isinstance(order, Setup):
                    recognizers = _load(sock, order)
                elif recognizers is not None:
                    done = recognizers.obey(order)
                    if done is not None:
                        _reply(sock, done)
        for said in recognizers.poll() if recognizers is not None else ():
            _reply(sock, said)
    if recognizers is not None:
        recognizers.close()


def _load(sock: socket.socket, setup: Setup) -> Recognizers | None:
    try:
        engine = make_engine(EngineChoice(setup.engine, tuple(setup.options.items())))
        engine.load()
    except ConfigurationError as error:
        _reply(sock, Refused(printable(str(error))))
        return None
    except Exception as error:  # code of others
        _reply(sock, Refused(f"transcribe: {setup.engine} cannot be loaded: {error!r}"))
        return None
    _reply(sock, Ready(engine.sample_rate_hz))
    return Recognizers(engine)


def _reply(sock: socket.socket, reply: Reply) -> None:
    sock.sendall(serialize(reply))


def _die_with(server: int) -> None:
    """Have this process killed when its parent dies, even if no Python of it ever runs again; see prctl(2)."""
    with contextlib.suppress(OSError, AttributeError):  # another system than Linux
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != server:
        sys.exit(1)


def main() -> None:
    """Run on the descriptor that the command line names, for the server of this process id."""
    _die_with(int(sys.argv[2]))
    for number in (signal.SIGINT, signal.SIGTERM):  # of a terminal, or of systemd, to all: the server says when
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):
        os.nice(NICENESS)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError), socket.socket(fileno=int(sys.argv[1])) as sock:
        run(sock)


if __name__ == "__main__":
    main()
