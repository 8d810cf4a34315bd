"""Concealment in front of sinks: what they get, what they make of it, and that nothing else changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from media import PerCall, Server, ServerConfig
from media.account import EventCame
from media.blocks import PcmBatch
from media.config import Endpoint
from media.denoising.rules import Denoised
from media.events.bus import EventBus
from media.outlets import Outlet
from media.sinks.concealed import ConcealedSink
from media.sinks.contract import SinkOptions
from media.sinks.denoised import DenoisedSink
from media.sinks.queue import CallEnded, CallStarted
from media.sinks.recording import RecordingSink
from media.sinks.runner import SinkRunner
from media.talk.call import LiveCall
from media.talk.mode import PlaybackMode
from media.talk.switchboard import Switchboard
from strep import rtp
from strep.clock import ManualClock
from strep.errors import ConfigurationError
from strep.g711 import Codec, decode, encode
from strep.header import Direction
from strep.rtp import RtpPacket
from strep.table import TimelineSettings
from strep.timeline import Timeline
from tests.concealing.lossy import PACKET, Pcm, batches, expected, losses, talk
from tests.media.world import World
from tests.sinks.rows import call_info, call_report
from tests.talk.test_listening import pass_turns

DOOR = Endpoint("127.0.0.1", 0)


class Keeper:
    """Keeps what it gets."""

    def __init__(self, name: str = "keeper", *, is_sensitive: bool = True) -> None:
        self.options = SinkOptions(name, is_sensitive=is_sensitive)
        self.got: list[PcmBatch] = []
        self.said: list[Any] = []

    def call_started(self, call: Any) -> None:
        self.said.append(call)

    def receive(self, batch: PcmBatch) -> None:
        self.got.append(batch)

    def call_ended(self, call: Any, report: Any) -> None:
        self.said.append(report)

    def close(self) -> None:
        self.said.append("closed")

    def snapshot(self) -> dict[str, int]:
        return {"kept": len(self.got)}


def test_everything_is_handed_on() -> None:
    inner = Keeper()
    sink, call = ConcealedSink(inner), call_info()
    assert sink.options is inner.options
    pcm, lost = talk(2, 20), losses(2, 20, 0.3, 1)
    sink.call_started(call)
    for batch in batches(pcm, lost, 800):
        sink.receive(batch)
    report = call_report(3200)
    sink.call_ended(call, report)
    sink.close()
    assert np.concatenate([batch.pcm for batch in inner.got], axis=1).shape == pcm.shape
    assert sink.snapshot() == {"kept": 4}
    _, ended, closed = inner.said
    assert closed == "closed"
    assert ended.tracks == report.tracks, "ledgers are what they were"
    assert [event["event"] for event in ended.events] == ["loss_concealed"] * len(report.tracks)


class TestRecording:
    def record(self, folder: Path, pcm: Pcm, lost: Any) -> dict[str, Any]:
        sink, call = ConcealedSink(RecordingSink(folder)), call_info()
        sink.call_started(call)
        for batch in batches(pcm, lost, 800):
            sink.receive(batch)
        late = next(batches(pcm, np.zeros(lost.shape, np.bool_), PACKET, start=PACKET * 4))
        late.late = True
        sink.receive(late)
        sink.call_ended(call, call_report(pcm.shape[1]))
        sidecar: dict[str, Any] = json.loads((folder / "call-0.json").read_text())
        return sidecar

    def test_the_file_is_filled_and_its_sidecar_says_so(self, tmp_path: Path) -> None:
        pcm, lost = talk(2, 50), np.zeros((2, 8000), np.bool_)
        lost[0, 640:960] = lost[1, 4000:4160] = lost[1, 6400:6560] = True
        sidecar = self.record(tmp_path, pcm, lost)
        written, _ = soundfile.read(tmp_path / "call-0.wav", dtype="int16")
        wanted = expected(pcm, lost).T
        first = decode(encode(pcm[:, :PACKET], Codec.PCMU), Codec.PCMU).T
        assert (written[4 * PACKET : 5 * PACKET] == first).all(), "what came late is put over it"
        wanted[4 * PACKET : 5 * PACKET] = first
        assert (written != wanted).mean() < 0.001
        told = {event["track"]: event for event in sidecar["events"]}
        assert all(event["event"] == "loss_concealed" for event in told.values())
        for track, holes, samples in (("inbound", 1, 320), ("outbound", 2, 320)):
            if track in told:
                assert (told[track]["holes"], told[track]["concealed_samples"]) == (holes, samples)
        assert "inbound" in told

    def test_a_process_that_dies_has_left_word(self, tmp_path: Path) -> None:
        """What is told of a call while it goes on is there for who finishes its recording."""
        [kept, other] = calls = [call_info(0), call_info(1)]
        for sink, call in zip((ConcealedSink(RecordingSink(tmp_path)), ConcealedSink(Keeper())), calls, strict=True):
            sink.call_started(call)
        told = EventCame({"event": "loss_concealed", "state": "started"})
        assert told in kept.account.news
        assert told not in other.account.news


class Lossy(World):
    """An engine whose timeline knows what is behind a block, and one that does not, with a sink each."""

    def __init__(self, beyond_ms: int, outlets: list[Outlet]) -> None:
        super().__init__()
        timeline = Timeline(TimelineSettings(beyond_ms=beyond_ms))
        self.engine.timeline = self.engine.reels.code_bytes.timeline = timeline
        self.engine._outlets += outlets

    def say(self, number: int, payload: bytes) -> None:
        self.send_strep(rtp.serialize(RtpPacket(0, number, number * PACKET, 7, payload)), 1, Direction.INBOUND)


class Timed:
    """An outlet that notes when what came."""

    is_sensitive = False

    def __init__(self) -> None:
        self.got: list[tuple[int, int, bytes]] = []

    def put(self, item: Any) -> None:
        if isinstance(item, PcmBatch) and len(item):
            self.got.append((item.now_ns, int(item.positions[0]), item.encoded.tobytes()))


def test_from_packets_to_a_sink_and_no_block_comes_later() -> None:
    """One packet in ten is lost; each hole is filled with the help of what waited behind it."""
    pcm = talk(1, 100)
    coded = encode(pcm[0], Codec.PCMU)
    keeper, times = Keeper(), [Timed(), Timed()]
    runner = SinkRunner(ConcealedSink(keeper))
    worlds = [Lossy(35, [times[0], runner]), Lossy(0, [times[1]])]
    lost = np.zeros(pcm.shape, np.bool_)
    for number in range(100):
        for world in worlds:
            if number % 10 != 4:
                world.say(number, coded[number * PACKET :][:PACKET].tobytes())
            world.tick(20)
        if number % 10 == 4:
            lost[0, number * PACKET :][:PACKET] = True
    for world in worlds:
        world.engine.end_all("stop")
    while runner.step() == 0:
        pass
    assert times[0].got == times[1].got
    rows = [(int(b.positions[0]) + int(b.first[0]), b.pcm[0, b.first[0] : b.last[0]]) for b in keeper.got if len(b)]
    made = np.concatenate([piece for _, piece in rows])
    wanted = expected(pcm, lost)[0]
    assert len(made) == len(wanted)
    assert (made != wanted).mean() < 0.001
    assert keeper.said[-1].tracks[0].totals["lost"] == 10 * PACKET


class TestConfiguration:
    def test_by_name_and_in_front_of_noise_suppression(self, tmp_path: Path) -> None:
        own = PerCall(lambda *_: None, name="mine")
        config = ServerConfig(udp=DOOR, record=tmp_path, conceal=("mine",), denoise=(Denoised("mine"),))
        recording, mine = (runner.sink for runner in Server(config, sinks=[own]).runners)
        assert isinstance(recording, RecordingSink), "never unless it is asked for"
        assert isinstance(mine, ConcealedSink)
        assert isinstance(mine.sink, DenoisedSink)
        assert mine.sink.sink is own

    def test_a_sink_that_is_made_again(self) -> None:
        server = Server(ServerConfig(udp=DOOR, conceal=("keeper",)), sinks=[Keeper])
        [runner] = server.runners
        make = runner._recovery.make
        assert make is not None
        another = make()
        assert isinstance(another, ConcealedSink)
        assert isinstance(runner.sink, ConcealedSink)
        assert another.sink is not runner.sink.sink

    def test_the_feed_is_found_behind_it(self) -> None:
        pytest.importorskip("aiohttp")
        server = Server(ServerConfig(udp=DOOR, http=DOOR, conceal=("feed",)))
        assert isinstance(server.runners[0].sink, ConcealedSink)

    def test_what_is_behind_a_block_is_known_only_where_somebody_conceals(self) -> None:
        own = PerCall(lambda *_: None, name="mine")
        with_it = Server(ServerConfig(udp=DOOR, conceal=("mine",)), sinks=[own])
        without = Server(ServerConfig(udp=DOOR), sinks=[own])
        around = Server(ServerConfig(udp=DOOR), sinks=[ConcealedSink(own)])
        assert with_it.engine.timeline.settings.beyond_ms > without.engine.timeline.settings.beyond_ms == 0
        assert around.engine.timeline.settings.beyond_ms == with_it.engine.timeline.settings.beyond_ms

    @pytest.mark.parametrize(
        ("name", "message"), [("recording", "no sink 'recording', only mine"), ("hearing", "knows what is lost")]
    )
    def test_what_cannot_be(self, name: str, message: str) -> None:
        config = ServerConfig(udp=DOOR, conceal=(name,))
        with pytest.raises(ConfigurationError, match=message):
            Server(config, sinks=[PerCall(lambda *_: None, name="mine")])


async def test_what_an_application_hears() -> None:
    """Its call begins amid the call where another process handed it over; who does not listen costs nothing."""
    clock, heard = ManualClock(), list[Pcm]()

    async def app(call: LiveCall) -> None:
        async for block in call.listen():
            heard.append(block.pcm)

    board = Switchboard(app, PlaybackMode(), clock, EventBus(clock))
    board.listening.conceal()
    board.start()
    info = call_info()
    info.goes_on = True
    board.put(CallStarted(info))
    board.listening.call_started(info)
    await pass_turns()
    pcm, lost = talk(2, 20), np.zeros((2, 3200), np.bool_)
    lost[0, 160:320] = lost[0, 1600:1760] = True
    for batch in batches(pcm, lost, PACKET, start=80_000):
        board.listening.receive(batch)
    await pass_turns()
    board.listening.call_ended(info, call_report(0))
    board.put(CallEnded(info, call_report(0)))
    await pass_turns()
    assert (np.concatenate(heard) != expected(pcm, lost)[0]).mean() < 0.001
