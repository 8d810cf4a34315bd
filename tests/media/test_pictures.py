"""`media.pictures`: the picture shows what the ledger says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from media.pictures import COLOURS, draw_recording, figures_of, read_envelope
from media.sinks.sidecar import Sidecar, Span, Track
from strep.errors import ConfigurationError

SECOND = 8000


def track(direction: Any, length: int, spans: list[tuple[int, int, str]], **statistics: int) -> Track:
    totals = {"received": length - sum(count for _, count, _ in spans)}
    for _, count, kind in spans:
        totals[kind] = totals.get(kind, 0) + count
    channel = int(direction == "outbound")
    ledger = [Span(*span) for span in spans]
    return Track(
        direction=direction,
        channel=channel,
        codec="PCMU",
        start_samples=0,
        length_samples=length,
        totals=totals,
        ledger=ledger,
        ledger_truncated=False,
        payload_types={},
        statistics=dict(statistics),
        sources=[],
    )


def sidecar(length: int, tracks: list[Track], **other: Any) -> Sidecar:
    facts: dict[str, Any] = {
        "schema_version": 1,
        "state": "complete",
        "call_id": "e0630c3d-c9d0-11f0-8b96-0242b325d2c1",
        "door": "strep",
        "identity": {},
        "started_at": "2026-01-01T00:00:00.000000Z",
        "started_wall_ns": 0,
        "ended_at": None,
        "ended_wall_ns": None,
        "reason": "idle",
        "note": "",
        "error": None,
        "file": "call.wav",
        "format": "PCM_16",
        "sample_rate_hz": SECOND,
        "length_samples": length,
        "tracks": tracks,
        "events": [],
    }
    return Sidecar(**{**facts, **other})


def write(directory: Path, samples: NDArray[np.int16], document: Sidecar) -> tuple[Path, Path, Path]:
    wav, json, png = (directory / f"call.{suffix}" for suffix in ("wav", "json", "png"))
    soundfile.write(wav, samples, SECOND, subtype="PCM_16")
    json.write_bytes(msgspec.json.encode(document))
    return wav, json, png


def colours_in(png: Path) -> set[str]:
    from matplotlib.image import imread

    red, green, blue = np.moveaxis(np.round(imread(png)[..., :3] * 255).astype(np.uint32), -1, 0)
    return {f"#{pixel:06x}" for pixel in np.unique(red << 16 | green << 8 | blue).tolist()}


def noise(length: int) -> NDArray[np.int16]:
    return np.random.default_rng(1).integers(-8000, 8000, (length, 2)).astype(np.int16)


class TestPicture:
    def test_every_kind_of_span_in_its_colour(self, tmp_path: Path) -> None:
        spans = [(SECOND * (1 + 2 * number), SECOND, kind) for number, kind in enumerate(COLOURS)]
        length = SECOND * 12
        document = sidecar(length, [track("inbound", length, spans), track("outbound", length, [])])
        draw_recording(*write(tmp_path, noise(length), document))
        assert set(COLOURS.values()) <= colours_in(tmp_path / "call.png")

    def test_nothing_lost_is_without_colours(self, tmp_path: Path) -> None:
        document = sidecar(SECOND, [track("inbound", SECOND, []), track("outbound", SECOND, [])])
        draw_recording(*write(tmp_path, noise(SECOND), document))
        assert not set(COLOURS.values()) & colours_in(tmp_path / "call.png")

    def test_20_ms_of_an_hour_are_still_to_be_seen(self, tmp_path: Path) -> None:
        length = 3600 * SECOND
        document = sidecar(length, [track("inbound", length, [(SECOND, 160, "lost")])])
        draw_recording(*write(tmp_path, np.zeros((SECOND, 2), np.int16), document))
        assert COLOURS["lost"] in colours_in(tmp_path / "call.png")

    @pytest.mark.parametrize("length", [0, 1, 160])
    def test_short_and_empty(self, tmp_path: Path, length: int) -> None:
        document = sidecar(length, [], note="no_media", state="failed")
        draw_recording(*write(tmp_path, np.zeros((length, 2), np.int16), document))
        assert (tmp_path / "call.png").read_bytes().startswith(b"\x89PNG")


class TestEnvelope:
    def test_extremes_of_each_bin_and_channel(self, tmp_path: Path) -> None:
        samples = np.zeros((1000, 2), np.int16)
        samples[250, 0], samples[999, 1] = 16_384, -32_768
        wav, _, _ = write(tmp_path, samples, sidecar(1000, []))
        lows, highs = read_envelope(wav, bins=10)
        assert highs[0].tolist() == [0, 0, 0.5, 0, 0, 0, 0, 0, 0, 0]
        assert lows[1].tolist() == [0] * 9 + [-1]
        assert not lows[0].any()
        assert not highs[1].any()

    def test_fewer_samples_than_bins(self, tmp_path: Path) -> None:
        samples = np.full((3, 2), 16_384, np.int16)
        wav, _, _ = write(tmp_path, samples, sidecar(3, []))
        assert read_envelope(wav, bins=9)[1][0].tolist()[2:] == [0.5] * 7


class TestFigures:
    @pytest.mark.parametrize(
        ("spans", "statistics", "expected"),
        [
            ([], {}, "PCMU, 1.00 s  ·  nothing lost"),
            ([(0, 160, "lost")], {"never_arrived": 1}, "PCMU, 1.00 s  ·  lost 2.00 % (1 packet, 20 ms)"),
            ([(0, 80, "lost"), (90, 800, "silence")], {}, "PCMU, 1.00 s  ·  lost 1.00 %  ·  silence 100 ms"),
        ],
    )
    def test_in_words(self, spans: list[tuple[int, int, str]], statistics: dict[str, int], expected: str) -> None:
        assert figures_of(track("inbound", SECOND, spans, **statistics), SECOND) == expected


class TestErrors:
    def test_without_matplotlib(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(ConfigurationError, match=r"pip install '/path/to/strep\[plot\]"):
            draw_recording(tmp_path / "a.wav", tmp_path / "a.json", tmp_path / "a.png")

    def test_not_a_sidecar(self, tmp_path: Path) -> None:
        wav, json, png = write(tmp_path, noise(10), sidecar(10, []))
        json.write_text("{}")
        with pytest.raises(ConfigurationError, match="not a recording's sidecar"):
            draw_recording(wav, json, png)

    def test_not_audio(self, tmp_path: Path) -> None:
        wav, json, png = write(tmp_path, noise(10), sidecar(10, []))
        wav.write_text("hello")
        with pytest.raises(ConfigurationError, match="cannot read"):
            draw_recording(wav, json, png)

    def test_one_channel(self, tmp_path: Path) -> None:
        wav, json, png = write(tmp_path, noise(10), sidecar(10, []))
        soundfile.write(wav, noise(10)[:, 0], SECOND)
        with pytest.raises(ConfigurationError, match="1 channels"):
            draw_recording(wav, json, png)

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="No such file"):
            draw_recording(tmp_path / "a.wav", tmp_path / "a.json", tmp_path / "a.png")
