"""Log lines: for people or as JSON, written by a thread of their own.

The program logs with ``logging.getLogger("strep....")`` and ``extra={...}``; both formats show the extras.
A line is never waited for: whoever reads standard error may stall, and must not stall calls with it. Lines
that find the queue full are counted, and the count is the next line.
"""

from __future__ import annotations

import json
import logging
import queue
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

from media.config import LogConfig

QUEUE_LINES = 10_000
"""Lines that may wait to be written."""
_LAST_LINES_TIMEOUT_S = 2.0
_OURS = ("strep", "media")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PLAIN = re.compile(r"[^\s\"'=\\\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def extras_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was given as ``extra``, in that order."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _time_of(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    """Return a value that JSON knows: numbers of numpy as numbers, everything else as text."""
    return value.item() if hasattr(value, "item") else str(value)


def _json(value: Any) -> str:
    """Return `value` as JSON on one line, whatever it is."""
    try:
        return msgspec.json.encode(value, enc_hook=_plain).decode()
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):  # odd keys, lone surrogates
        return json.dumps(str(value))


class TextFormatter(logging.Formatter):
    """``2026-01-31T12:00:00.000Z info    strep.server: receiving udp=127.0.0.1:9000``.

    A line stays a line: control characters of messages and values, which may come from the network, are
    escaped. Only a traceback follows on lines of its own.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        pairs = "".join(f" {name}={_text(value)}" for name, value in extras_of(record).items())
        text = _CONTROL.sub(lambda match: repr(match[0])[1:-1], record.getMessage() + pairs)
        line = f"{_time_of(record)} {record.levelname.lower():7} {record.name}: {text}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _text(value: Any) -> str:
    return value if isinstance(value, str) and _PLAIN.fullmatch(value) else _json(value)


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, logger, message, the extras, and exception where there is one.

    An extra that has one of these names gets an underscore behind it.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        fields: dict[str, Any] = {
            "time": _time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        for name, value in extras_of(record).items():
            fields[f"{name}_" if name in fields else name] = value
        try:
            return msgspec.json.encode(fields, enc_hook=_plain).decode()
        except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
            return json.dumps({name: str(value) for name, value in fields.items()})


class LogWriter(logging.Handler):
    """A bounded queue and the thread that writes what is in it.

    Attributes:
        dropped: lines that found the queue full and have not been mentioned yet.
    """

    def __init__(self, stream: TextIO, formatter: logging.Formatter, queue_lines: int = QUEUE_LINES) -> None:
        super().__init__()
        self.dropped = 0
        self._target = logging.StreamHandler(stream)
        self._target.setFormatter(formatter)
        self._queue: queue.Queue[logging.LogRecord | None] = queue.Queue(queue_lines)
        self._thread = threading.Thread(target=self._write_all, name="log-writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue `record`, or count it; called by `logging`, which holds the handler's lock."""
        try:
            record.msg, record.args = record.getMessage(), None  # arguments may change until it is written
            if self.dropped and self._queue.qsize() < self._queue.maxsize - 1:
                self._queue.put_nowait(self._apology())
                self.dropped = 0
            self._queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1
        except Exception:
            self.handleError(record)

    def stop(self, timeout_s: float = _LAST_LINES_TIMEOUT_S) -> None:
        """Write what waits and end; give up after `timeout_s` if nobody reads."""
        try:
            if self.dropped:
                self._queue.put(self._apology(), timeout=timeout_s)
            self._queue.put(None, timeout=timeout_s)
        except queue.Full:
            return
        self._thread.join(timeout_s)

    def _apology(self) -> logging.LogRecord:
        text = f"{self.dropped} log lines were dropped: nobody read them fast enough"
        return logging.LogRecord("strep.logs", logging.WARNING, __file__, 0, text, None, None)

    def _write_all(self) -> None:
        while (record := self._queue.get()) is not None:
            self._target.handle(record)


@contextmanager
def logging_to(stream: TextIO, config: LogConfig) -> Iterator[None]:
    """Send all log lines to `stream` while the context lasts; nothing of it is left behind.

    The level is that of our own loggers; libraries speak up with warnings only.
    """
    writer = LogWriter(stream, JsonFormatter() if config.format == "json" else TextFormatter())
    root = logging.getLogger()
    ours = [logging.getLogger(name) for name in _OURS]
    levels_before = {logger: logger.level for logger in (root, *ours)}
    root.setLevel(logging.WARNING)
    for logger in ours:
        logger.setLevel(config.level.upper())
    root.addHandler(writer)
    writer.start()
    try:
        yield
    finally:
        root.removeHandler(writer)
        for logger, level in levels_before.items():
            logger.setLevel(level)
        writer.stop()
