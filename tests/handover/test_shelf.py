"""Calls that are left with systemd: whatever is wrong with them, the process that takes them begins."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from media.handover import departure, shelf
from media.handover.departure import leave
from media.handover.moved import FORMAT, Moved, decode, encode
from media.handover.moving import take_out
from media.handover.shelf import forget, taking
from media.server import Server
from media.sockets import BoundSockets
from strep.mmsg import IS_SUPPORTED
from tests.media.world import World, audio

pytestmark = pytest.mark.skipif(not IS_SUPPORTED, reason="needs Linux")
FORGOTTEN = b"FDSTOREREMOVE=1\nFDNAME=calls"


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What systemd is told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield told


class House:
    """What hand-over sees of a server."""

    def __init__(self) -> None:
        self.world, self.hears = World(), True
        self.world.send_strep(audio(0), 1)
        self.world.send_rtp(audio(0))
        doors = SimpleNamespace(strep=self.world.strep, rtp={"tap": self.world.rtp}, detach=self.detach)
        legs = SimpleNamespace(have_moved=False)
        self.server = cast(Server, SimpleNamespace(engine=self.world.engine, doors=doors, legs=legs))

    def detach(self) -> tuple[BoundSockets, Callable[[], None]]:
        self.hears = False
        return BoundSockets(), lambda: setattr(self, "hears", True)

    def check_that_it_goes_on(self) -> None:
        assert self.hears
        assert not self.server.legs.have_moved
        self.world.tick()
        self.world.send_strep(audio(1), 1)
        self.world.send_rtp(audio(1))
        self.world.engine.end_all("shutdown")
        ended = [report for _, report in self.world.ear.ended if report.reason == "shutdown"]
        assert [report.tracks[0].statistics["received"] for report in ended] == [2, 2]


def taken_out() -> Moved:
    """Return a call, and a track of the pair tap."""
    world = House().world
    return decode(encode(take_out(world.engine, world.strep, {"tap": world.rtp})[0]))


def of_another_format() -> bytes:
    moved = taken_out()
    moved.format = FORMAT + 1
    return encode(moved)


def without_a_column() -> bytes:
    moved = taken_out()
    del moved.reels[0].tracks.window[next(iter(moved.reels[0].tracks.window))]
    return encode(moved)


@pytest.mark.parametrize("made", [lambda: b"\x01", of_another_format, without_a_column, lambda: encode(taken_out())])
def test_what_cannot_be_taken_is_off_the_shelf(made: Callable[[], bytes], systemd: socket.socket) -> None:
    """The last of them has a pair of ports that there is not any more."""
    left = os.memfd_create("calls")
    os.write(left, made())
    house = House()
    del house.server.doors.rtp["tap"]
    take_in = taking([left], house.server)
    assert take_in is not None
    take_in()
    assert systemd.recv(100) == FORGOTTEN
    house.check_that_it_goes_on()
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(left)


def test_nobody_takes_them(systemd: socket.socket) -> None:
    left = os.memfd_create("calls")
    forget([left])
    assert systemd.recv(100) == FORGOTTEN
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(left)
    forget([])
    with pytest.raises(BlockingIOError):
        systemd.recv(100)


def fail(*arguments: Any) -> Any:
    raise RuntimeError("on purpose")


@pytest.mark.parametrize("broken", ["encode", "write", "take_out", None])
def test_a_process_that_cannot_leave_them_is_not_deaf(
    broken: str | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What fails on the way; without a broken part systemd has no shelf."""
    house = House()
    if broken is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setattr(departure, broken, fail)
        monkeypatch.setattr(shelf, "encode", fail)
    with caplog.at_level(logging.ERROR):
        leave(house.server)
    assert ("they end here" in caplog.text) == (broken is not None)
    house.check_that_it_goes_on()
