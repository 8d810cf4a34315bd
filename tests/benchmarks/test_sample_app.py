"""The sample application does the work that it is compared for: order, and every sample into the file."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from benchmarks import wav
from benchmarks.contenders.sample_app import Recorders
from benchmarks.referee import mu_law_table

SSRC = 7


def datagram(sequence_number: int) -> bytes:
    """Return a packet whose payload repeats the sequence number modulo 100."""
    timestamp = sequence_number * 160
    header = struct.pack("!BB6x16sBBHII", 0b110001_00, 24, b"leg", 0x80, 0, sequence_number, timestamp, SSRC)
    return header + bytes([sequence_number % 100]) * 160


def written(directory: Path, sequence_numbers: list[int]) -> list[int]:
    """Return the code byte of each packet in the file, in the file's order."""
    recorders = Recorders(directory)
    for number in sequence_numbers:
        recorders.receive(datagram(number))
    recorders.close()
    assert recorders.evidence(directory)["received"] == len(sequence_numbers)
    packets = wav.read(directory / f"{SSRC}.wav").frames.reshape(-1, 160)
    assert (packets == packets[:, :1]).all()
    code = {int(pcm): byte for byte, pcm in reversed(list(enumerate(mu_law_table())))}
    return [code[int(pcm)] for pcm in packets[:, 0]]


def test_reordered_packets_are_put_in_order(tmp_path: Path) -> None:
    assert written(tmp_path, [65_534, 0, 65_535, 2, 1, 3]) == [34, 35, 0, 1, 2, 3]


def test_a_hole_is_given_up_behind_three_packets(tmp_path: Path) -> None:
    assert written(tmp_path, [1, 3, 4, 5, 2, 6]) == [1, 3, 4, 5, 6]


def test_what_is_held_at_the_end_is_written(tmp_path: Path) -> None:
    assert written(tmp_path, [1, 4, 3]) == [1, 3, 4]


def test_what_is_no_packet_is_rejected(tmp_path: Path) -> None:
    recorders = Recorders(tmp_path)
    recorders.receive(b"\0" * 10)
    recorders.receive(np.zeros(196, np.uint8).tobytes())
    assert recorders.evidence(tmp_path) == {"received": 2, "rejected": 2, "late": 0}
