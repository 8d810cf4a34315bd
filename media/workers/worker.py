"""The program that a worker runs: wait for the assignment, be a server, report once a second.

Whoever starts it by hand gets nothing: it needs a supervisor at the other end of a socket.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from functools import partial
from typing import Any

import media.sinks.recording  # noqa: F401  a spare that has it all is at work within milliseconds
from media.apps import load_app
from media.cli import FAILED, MISUSED, OK, reason_of
from media.logs import logging_to
from media.metrics.totals import REPORT_INTERVAL_S
from media.repeat import Repeater
from media.runtime import freeze_heap, loop_factory, shorten_turns
from media.server import Server
from media.sinks.plugins import load_sink
from media.sockets import BoundSockets
from media.workers.acting import Acting
from media.workers.answering import obey
from media.workers.control import (
    MAX_MESSAGE_BYTES,
    Act,
    Assignment,
    Ended,
    Failed,
    Listen,
    Ready,
    Report,
    decode_order,
    receive_assignment,
)
from media.workers.relaying import Relay
from media.workers.speaking import Speaker, say_last
from strep.errors import ConfigurationError


def main() -> None:
    """Run as worker; the argument is the descriptor of the socket to the supervisor."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    factory = loop_factory()
    received = receive_assignment(control)
    if received is None:
        return
    assignment, sockets = received
    control.setblocking(False)
    _name_log_lines(assignment.index)
    with logging_to(sys.stderr, assignment.log):
        try:
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(_serve(assignment, sockets, control))
            code = OK
        except (OSError, ConfigurationError) as error:
            code = MISUSED if isinstance(error, ConfigurationError) else FAILED
            text = reason_of(error, assignment.config) if isinstance(error, OSError) else str(error)
            say_last(control, Failed(text, code))
    sys.exit(code)


async def _serve(assignment: Assignment, sockets: BoundSockets, control: socket.socket) -> None:
    config, loop = assignment.config, asyncio.get_running_loop()
    app = load_app(config.app) if config.app else None
    sinks = [partial(load_sink, name) for name in config.sinks]
    server = Server(config, sinks, sockets=sockets, app=app, remembers_legs=False)
    speaker = Speaker(control)
    relay, acting = Relay(server.bus, speaker), Acting(server.controls, speaker.say)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)

    def listen() -> None:
        try:
            data = control.recv(MAX_MESSAGE_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""  # it died before it read what this worker said
        if data:
            order = decode_order(data)
            if isinstance(order, Act):
                acting.take(order)
            elif isinstance(order, Listen):
                relay.obey(order)
            elif (answer := obey(server, order)) is not None:
                speaker.say(answer)
            return
        loop.remove_reader(control)
        server.stop()

    loop.add_reader(control, listen)
    reports = Repeater(REPORT_INTERVAL_S, lambda: speaker.say(Report(server.snapshot())))
    async with server:
        speaker.say(Ready())
        freeze_heap()
        shorten_turns()
        reports.start()
        await server.wait_closed()
    reports.stop()
    speaker.say_last(Ended(server.snapshot(), server.unfinished_sinks))


def _name_log_lines(index: int) -> None:
    """Let every line say which worker it is of."""
    make = logging.getLogRecordFactory()

    def make_with_worker(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        record.worker = index
        return record

    logging.setLogRecordFactory(make_with_worker)


if __name__ == "__main__":
    main()
