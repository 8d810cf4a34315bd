"""`media.logs`: extras are shown, a line stays a line, and nobody waits for a slow reader."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from typing import Any

import numpy as np
import pytest

from media.config import LogConfig
from media.logs import JsonFormatter, LogWriter, TextFormatter, logging_to

MOMENT = 1_767_225_600.25  # 2026-01-01, and a quarter of a second


def record(message: str = "receiving", *args: Any, exc_info: Any = None, **extra: Any) -> logging.LogRecord:
    made = logging.getLogger("strep.server").makeRecord(
        "strep.server", logging.INFO, __file__, 1, message, args, exc_info, extra=extra
    )
    made.created = MOMENT
    return made


class TestText:
    @pytest.mark.parametrize(
        ("extra", "shown"),
        [
            ({}, ""),
            ({"udp": "127.0.0.1:9000", "calls": 3}, " udp=127.0.0.1:9000 calls=3"),
            ({"reason": "no room"}, ' reason="no room"'),
            ({"empty": ""}, ' empty=""'),
            ({"text": 'a="b"'}, r' text="a=\"b\""'),
            ({"rejected": {"SIP": 2}}, ' rejected={"SIP":2}'),
            ({"level_db": np.float64(1.5), "drops": np.int64(2)}, " level_db=1.5 drops=2"),
            ({"nothing": None, "yes": True}, " nothing=null yes=true"),
            ({"injected": "a\nb"}, r' injected="a\nb"'),
            ({"injected": "a\u2028\x85b"}, r' injected="a\u2028\x85b"'),
            ({"odd": {(1, 2): "x"}}, ' odd={"(1, 2)":"x"}'),
        ],
    )
    def test_extras(self, extra: dict[str, Any], shown: str) -> None:
        line = TextFormatter().format(record(**extra))
        assert line == f"2026-01-01T00:00:00.250Z info    strep.server: receiving{shown}"

    def test_a_message_cannot_begin_a_line(self) -> None:
        line = TextFormatter().format(record("from %s", "a\r\n2026 error \x1b[31m\u2028x"))
        assert line.endswith(r": from a\r\n2026 error \x1b[31m\u2028x")

    def test_traceback(self) -> None:
        try:
            raise ValueError("oh")
        except ValueError:
            lines = TextFormatter().format(record(exc_info=sys.exc_info(), calls=1)).splitlines()
        assert lines[0].endswith("receiving calls=1")
        assert lines[1].startswith("Traceback")
        assert lines[-1] == "ValueError: oh"


class TestJson:
    def test_fields(self) -> None:
        line = JsonFormatter().format(record("%d calls", 3, doors={"udp": {"datagrams": np.int64(5)}}))
        assert json.loads(line) == {
            "time": "2026-01-01T00:00:00.250Z",
            "level": "info",
            "logger": "strep.server",
            "message": "3 calls",
            "doors": {"udp": {"datagrams": 5}},
        }

    def test_extras_do_not_replace_ours(self) -> None:
        fields = json.loads(JsonFormatter().format(record(time="noon", level="high")))
        assert (fields["level"], fields["level_"], fields["time_"]) == ("info", "high", "noon")

    def test_exception(self) -> None:
        try:
            raise ValueError("oh")
        except ValueError:
            line = JsonFormatter().format(record(exc_info=sys.exc_info()))
        assert "\n" not in line
        assert json.loads(line)["exception"].endswith("ValueError: oh")

    @pytest.mark.parametrize("odd", ["\ud800", {(1, 2): 3}, object(), float("nan"), b"\xff", {1: {2: object()}}])
    def test_whatever_it_is_it_is_json(self, odd: Any) -> None:
        line = JsonFormatter().format(record(odd=odd))
        assert "odd" in json.loads(line)
        assert "\n" not in line


class TestLogWriter:
    def test_lines_that_find_no_room_are_counted(self) -> None:
        stream = io.StringIO()
        writer = LogWriter(stream, TextFormatter(), queue_lines=3)
        for number in range(5):
            writer.handle(record("line %d", number))
        assert writer.dropped == 2
        writer.start()
        writer.stop()
        said = [line.partition(": ")[2] for line in stream.getvalue().splitlines()]
        assert said == ["line 0", "line 1", "line 2", "2 log lines were dropped: nobody read them fast enough"]

    def test_the_count_comes_before_the_next_line(self) -> None:
        stream = io.StringIO()
        writer = LogWriter(stream, TextFormatter(), queue_lines=3)
        for number in range(4):
            writer.handle(record("line %d", number))
        writer._queue.get_nowait()
        writer._queue.get_nowait()
        writer.handle(record("after"))
        writer.start()
        writer.stop()
        said = [line.partition(": ")[2][:16] for line in stream.getvalue().splitlines()]
        assert said == ["line 2", "1 log lines were", "after"]

    def test_a_reader_that_stalls_holds_up_nobody(self) -> None:
        gate, is_writing = threading.Event(), threading.Event()

        class Stalled(io.StringIO):
            def write(self, text: str) -> int:
                is_writing.set()
                gate.wait()
                return super().write(text)

        writer = LogWriter(Stalled(), TextFormatter(), queue_lines=10)
        writer.start()
        for _ in range(100):
            writer.handle(record())
        assert is_writing.wait(30)
        assert writer.dropped >= 89
        writer.stop(timeout_s=0.01)  # gives up
        gate.set()

    def test_arguments_are_read_when_the_line_is_made(self) -> None:
        stream, names = io.StringIO(), ["a"]
        writer = LogWriter(stream, TextFormatter())
        writer.handle(record("names: %s", names))
        names.append("b")
        writer.start()
        writer.stop()
        assert stream.getvalue().endswith("names: ['a']\n")


class TestLoggingTo:
    @pytest.mark.parametrize("name", ["strep.server", "media.sinks.recording"])
    def test_our_loggers_at_their_level(self, name: str) -> None:
        stream = io.StringIO()
        with logging_to(stream, LogConfig(level="info")):
            logging.getLogger(name).info("yes", extra={"calls": 1})
            logging.getLogger(name).debug("no")
        assert stream.getvalue().endswith(f"info    {name}: yes calls=1\n")
        assert stream.getvalue().count("\n") == 1

    def test_libraries_only_warn(self) -> None:
        stream = io.StringIO()
        with logging_to(stream, LogConfig("json", "debug")):
            logging.getLogger("websockets.server").info("no")
            logging.getLogger("asyncio").warning("yes")
        assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["yes"]

    def test_nothing_is_left_behind(self) -> None:
        root, ours = logging.getLogger(), logging.getLogger("strep")
        before = (list(root.handlers), root.level, ours.level)
        with logging_to(io.StringIO(), LogConfig(level="debug")):
            assert ours.level == logging.DEBUG
        assert (list(root.handlers), root.level, ours.level) == before
