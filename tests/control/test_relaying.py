"""Events of workers on their way to readers of the supervisor's door."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

import msgspec

from media.events.bus import EventBus
from media.events.kinds import SpeechStarted
from media.http.events import EventQueue
from media.http.relayed import Relayed
from media.workers import relaying
from media.workers.control import Answer, Ended, Happened, Listen, Message, Report, decode
from media.workers.relaying import Relay
from media.workers.speaking import Speaker
from strep.clock import ManualClock
from tests.sinks.rows import call_info


class TestRelay:
    async def test_what_finds_no_room_waits_or_is_counted(self) -> None:
        """While nobody reads all of it is kept, up to the bound; in order, and none but the dropped is missing."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        bus, most = EventBus(ManualClock(0)), relaying.MAX_WAITING
        info = call_info()
        with contextlib.closing(ours), contextlib.closing(theirs):
            for end in (ours, theirs):
                end.setblocking(False)
            relay = Relay(bus, Speaker(ours))
            bus.publish(info, SpeechStarted(silence_samples=0))  # nobody listens
            relay.obey(Listen(True))
            for _ in range(most + 2000):
                bus.publish(info, SpeechStarted(silence_samples=0))
            seen, dropped = list[int](), 0
            while not seen or seen[-1] < most + 2001:
                data = await asyncio.get_running_loop().sock_recv(theirs, 1 << 20)
                message = decode(data)
                assert isinstance(message, Happened)
                seen += [json.loads(event)["sequence"] for event in map(bytes, message.events)]
                dropped += message.dropped
            assert seen == sorted(seen)
            assert dropped == 2000 == most + 2000 - len(seen)
            relay.obey(Listen(False))
            bus.publish(info, SpeechStarted(silence_samples=0))
            await asyncio.sleep(0)
            with contextlib.suppress(BlockingIOError):
                assert not theirs.recv(1 << 20)

    async def test_answers_and_last_words_do_not_wait_behind_events(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        bus, said = EventBus(ManualClock(0)), list[Message]()
        with contextlib.closing(ours), contextlib.closing(theirs):
            for end in (ours, theirs):
                end.setblocking(False)
            speaker = Speaker(ours)
            Relay(bus, speaker).obey(Listen(True))
            for _ in range(relaying.MAX_WAITING):
                bus.publish(call_info(), SpeechStarted(silence_samples=0))
            await asyncio.sleep(0)
            speaker.say(Answer(1, "first"))
            for calls in range(3):
                speaker.say(Report({"calls": calls}))
            speaker.say(Answer(2, "second"))

            async def hear(until: type[Message]) -> None:
                while not said or not isinstance(said[-1], until):
                    said.append(decode(await asyncio.get_running_loop().sock_recv(theirs, 1 << 20)))

            def hear_all() -> None:
                theirs.setblocking(True)
                while data := theirs.recv(1 << 20):
                    said.append(decode(data))

            await hear(Report)
            await hear(Happened)
            hearing = asyncio.get_running_loop().run_in_executor(None, hear_all)
            speaker.say_last(Ended({}, []))
            ours.shutdown(socket.SHUT_RDWR)
            await hearing
        assert [message.said for message in said if isinstance(message, Answer)] == ["first", "second"]
        assert [message.snapshot for message in said if isinstance(message, Report)] == [{"calls": 2}]
        assert isinstance(said[-1], Ended)


class TestRelayed:
    async def test_readers_get_what_they_want_and_how_much_is_missing(self) -> None:
        told: list[bool] = []
        relayed = Relayed(lambda: told.append(relayed.is_wanted))
        queue = EventQueue("call-*", frozenset({"dtmf"}), lambda: None)
        unsubscribe = relayed.subscribe(queue.put, queue.lose)
        await asyncio.sleep(0)
        events = [{"event": name, "call_id": call} for name in ("dtmf", "tone") for call in ("call-1", "other")]
        relayed.take(map(msgspec.json.encode, events), 3)
        waiting, dropped = queue.take()
        assert ([one.to_json() for one in waiting], dropped) == (events[:1], 3)
        unsubscribe()
        await asyncio.sleep(0)
        assert told == [True, False]
