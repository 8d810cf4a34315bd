"""``strep inspect --payload-type``: dynamic types mean in a capture what they mean to the server."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from media.captures import command
from media.carrier.options import Transport
from media.codecs import Encoding
from strep.clock import NS_PER_SECOND
from tests.captures.making import simulated, write
from tests.media.harness import pcm_channels, sidecar
from tests.media.test_recorded_keys import decoded

OPUS = ("--payload-type", "111=opus/48000", "--payload-type", "101=telephone-event/48000")


@pytest.mark.parametrize("transport", [Transport.STREP, Transport.RTP])
def test_they_are_found_decoded_and_recorded(tmp_path: Path, transport: Transport) -> None:
    plan, datagrams = simulated(transport, seconds=3, codec=Encoding("OPUS", 48_000), presses=((NS_PER_SECOND, "5"),))
    path = write(tmp_path / "x.pcap", datagrams)
    arguments = [str(path), "--wav", str(tmp_path / "wav"), *OPUS]
    document = json.loads(CliRunner().invoke(command.inspect, [*arguments, "--json"]).stdout)
    assert [track["codec"] for track in document["tracks"]] == ["OPUS", "OPUS"]
    assert "OPUS (111), 101" in CliRunner().invoke(command.inspect, arguments).stdout
    for number, script in enumerate(plan.scripts):
        track = next(t for t in document["tracks"] if t["ssrc"] == f"{script.ssrcs[0]:08x}")
        recording = tmp_path / "wav" / f"{track['call_id']}.wav"
        channel = pcm_channels(recording)[:, number if transport is Transport.STREP else 0]
        assert np.array_equal(channel[: 3 * 48_000], decoded(plan, number))
        keys = [event["digit"] for event in sidecar(recording.parent, recording.stem)["events"]]
        assert keys == ["5"] * (transport is Transport.STREP or number == 0)


def test_without_it_plain_rtp_of_a_dynamic_type_is_not_found(tmp_path: Path) -> None:
    _, datagrams = simulated(Transport.RTP, seconds=1, codec=Encoding("OPUS", 48_000))
    result = CliRunner().invoke(command.inspect, [str(write(tmp_path / "x.pcap", datagrams))])
    assert "No call audio was found" in result.output


@pytest.mark.parametrize("written", ["111", "200=opus/48000", "111=amr/8000", "111=opus/8000"])
def test_what_stands_for_nothing_is_refused(tmp_path: Path, written: str) -> None:
    path = write(tmp_path / "x.pcap", [])
    assert CliRunner().invoke(command.inspect, [str(path), "--payload-type", written]).exit_code == 2
