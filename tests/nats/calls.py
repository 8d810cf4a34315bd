"""What of calls lies in a stream, beside what lies in their recordings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from media.carrier.simulation import Simulation
from media.feed.wire import Flag, PcmMessage, parse
from media.nats.names import call_id_of
from strep.g711 import Codec, decode
from strep.header import Direction
from tests.media.harness import pcm_channels


def by_track(found: Iterable[Any]) -> dict[tuple[str, Direction], list[PcmMessage]]:
    """Return the messages of audio, each under the call and track that its subject and its header name."""
    tracks: dict[tuple[str, Direction], list[PcmMessage]] = defaultdict(list)
    for message in found:
        _, kind, _, call, *track = message.subject.split(".")
        if kind == "pcm":
            pcm = parse(message.data)
            assert (call_id_of(call), track) == (pcm.call_id, [pcm.track.name.lower()])
            tracks[pcm.call_id, pcm.track].append(pcm)
    return tracks


def check_whole(messages: list[PcmMessage], *, has_end: bool = True) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Return the audio of a track; every message is there once, in order, and without a gap."""
    numbers = [pcm.sequence_number for pcm in messages]
    assert numbers == list(range(len(messages))), numbers
    position = messages[0].position_samples
    for pcm in messages:
        assert pcm.position_samples == position
        position = pcm.end_samples
    ends = [bool(pcm.flags & Flag.END) for pcm in messages]
    assert ends == [False] * (len(ends) - 1) + [has_end]
    return np.concatenate([pcm.pcm() for pcm in messages])


def check_calls(found: Iterable[Any], directory: Path, simulation: Simulation) -> None:
    """Compare the stream with the recordings, and both with what the carrier sent, to the sample."""
    tracks, plan = by_track(found), simulation.plan()
    truths = plan.truth().tracks
    assert len(tracks) == len(truths)
    for number, truth in enumerate(truths):
        direction = Direction[truth.direction.upper()]
        messages = tracks[truth.call_leg_id, direction]
        audio = check_whole(messages)
        assert np.array_equal(audio, decode(plan.expected_encoded(number), Codec.PCMU))
        start = messages[0].position_samples
        channel = pcm_channels(directory / f"{truth.call_leg_id}.wav")[:, int(direction)]
        assert np.array_equal(channel[start : start + len(audio)], audio)
