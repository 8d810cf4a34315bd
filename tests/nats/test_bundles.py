"""Bundles are the same audio, in fewer messages, and tell no less."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from media.feed.wire import Flag, PcmMessage, SampleFormat, parse, serialize
from media.nats.bundles import Bundle, Bundler
from strep.clock import NEVER_NS, NS_PER_MS
from strep.header import Direction

FIRST = PcmMessage("call", Direction.INBOUND, 8000, SampleFormat.INT16, 0, 0, 7, b"")


def feed(rng: random.Random, count: int) -> list[PcmMessage]:
    """A track as the feed tells it: lengths, losses, patches and gaps as they come, some messages missing."""
    messages: list[PcmMessage] = []
    position, number = 0, 0
    for _ in range(count):
        samples = rng.choice([160, 160, 800, 1600])
        flags, lost = Flag.NONE, 0
        if rng.random() < 0.1 or not messages:
            position += rng.randrange(5000) if messages else 0
            flags |= Flag.GAP
        if rng.random() < 0.1:
            flags, lost = flags | Flag.LOST, rng.randrange(1, samples)
        if rng.random() < 0.05:
            number += rng.randrange(1, 4)
        payload = rng.randbytes(2 * samples)
        one = replace(FIRST, position_samples=position, sequence_number=number, flags=flags, lost_samples=lost)
        messages.append(replace(one, payload=payload))
        position, number = position + samples, number + 1
        if rng.random() < 0.05:
            patch = replace(one, sequence_number=number, flags=Flag.LATE, lost_samples=0, payload=payload[:320])
            messages.append(patch)
            number += 1
    messages.append(replace(FIRST, position_samples=position, sequence_number=number, flags=Flag.END))
    return messages


def tape(messages: list[PcmMessage]) -> dict[int, int]:
    """Return the samples by their position, patches in their place."""
    samples: dict[int, int] = {}
    for message in messages:
        samples |= dict(enumerate(message.pcm().tolist(), message.position_samples))
    return samples


@given(st.integers(0, 1 << 32), st.integers(20, 1000))
@settings(max_examples=50)
def test_the_same_audio(seed: int, bundle_ms: int) -> None:
    rng = random.Random(seed)
    told = feed(rng, 60)
    bundler, raw = Bundler(bundle_ms), list[Bundle]()
    now_ns = 0
    for message in told:
        now_ns += rng.randrange(200) * NS_PER_MS
        raw += bundler.add(serialize(message), now_ns)
        raw += bundler.poll(now_ns)
    assert bundler.end("call") == [], "END was the end"
    assert bundler.deadline() == NEVER_NS
    bundles = [parse(bundle.data) for bundle in raw]
    beside = [(one.call_id, one.track, one.number, one.position_samples, one.end_samples) for one in raw]
    assert beside == [
        (one.call_id, one.track, one.sequence_number, one.position_samples, one.end_samples) for one in bundles
    ]
    assert tape(bundles) == tape(told)
    assert sum(bundle.lost_samples for bundle in bundles) == sum(message.lost_samples for message in told)
    for flag in (Flag.GAP, Flag.LATE, Flag.END):
        places = [[one.position_samples for one in side if one.flags & flag] for side in (bundles, told)]
        assert places[0] == places[1]
    assert {one.origin_wall_ns for one in bundles} == {7}
    numbers = [one.sequence_number for one in bundles]
    assert numbers == sorted(set(numbers))
    missing = {one.sequence_number for one in told}
    has_holes = len(missing) < max(missing) - min(missing) + 1
    assert (len(numbers) < numbers[-1] + 1) == has_holes, "a hole in the feed's numbers is one in these"
    longest = max((one.samples for one in bundles), default=0)
    assert longest < bundle_ms * 8 + 1600


def test_length_and_count() -> None:
    bundler = Bundler(200)
    found = []
    for number in range(50):
        payload = np.full(160, number, np.int16).tobytes()
        piece = replace(FIRST, position_samples=160 * number, sequence_number=number, payload=payload)
        found += bundler.add(serialize(piece), 0)
    assert [parse(one.data).samples for one in found] == [1600] * 5
    assert [one.number for one in found] == list(range(5))


def test_what_nothing_follows_does_not_wait() -> None:
    bundler = Bundler(200)
    assert bundler.add(serialize(replace(FIRST, payload=bytes(320))), 0) == []
    assert bundler.poll(0) == []
    due_ns = 0
    found: list[Bundle] = []
    for _ in range(4):
        due_ns = bundler.deadline()
        found += bundler.poll(due_ns)
    assert [parse(one.data).samples for one in found] == [160]
    assert due_ns <= 500 * NS_PER_MS


def test_a_call_that_ends_without_its_end() -> None:
    bundler = Bundler(200)
    bundler.add(serialize(replace(FIRST, payload=bytes(320))), 0)
    bundler.add(serialize(replace(FIRST, call_id="other", payload=bytes(320))), 0)
    assert [one.call_id for one in bundler.end("call")] == ["call"]
    assert [one.call_id for one in bundler.end("other")] == ["other"]
