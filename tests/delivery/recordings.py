"""Recordings as the server leaves them, for tests of what becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from media.sinks.contract import CallInfo
from media.sinks.finished import FinishedRecording
from media.sinks.sidecar import describe, replace
from media.sinks.wav import Encoding, WavFile
from strep.g711 import Codec, encode
from tests.sinks.rows import call_report


def speech(seconds: float, rate_hz: int = 8000, seed: int = 1) -> NDArray[np.int16]:
    """Return (n, 2) of two who take turns: bursts of coloured noise, peaks at about -10 dBFS."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate_hz)
    noise = np.convolve(rng.normal(size=n + 7), np.hanning(8) / 3, "valid")[:n]
    turn = np.sin(np.arange(n) / rate_hz * np.pi) > 0
    both = np.stack((noise * turn, noise[::-1] * ~turn), axis=1)
    return (both * 3000).clip(-32_000, 32_000).astype(np.int16)


def make_wav(path: Path, pcm: NDArray[np.int16], rate_hz: int = 8000, encoding: Encoding = Encoding.PCM16) -> Path:
    """Write it as the recorder does."""
    wav = WavFile(path, encoding, rate_hz)
    if encoding is Encoding.PCM16:
        wav.write(0, np.ascontiguousarray(pcm))
    else:
        wav.write(0, encode(pcm.ravel(), Codec[encoding.name]).reshape(-1, 2))
    wav.close()
    return path


def read_json(path: Path) -> dict[str, Any]:
    """Return the document at `path`."""
    document: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    return document


CALL = CallInfo(
    3, "call-1", "ws", 1_700_000_000_000_000_000, identity={"from": "+15550100", "to": "../../etc/passwd"}
)


def finished(
    directory: Path, name: str = "call-1", pcm: NDArray[np.int16] | None = None, **wishes: Any
) -> FinishedRecording:
    """Record a call of ten seconds, or of `pcm`, and return what the recorder hands over."""
    pcm = speech(10.0) if pcm is None else pcm
    path = make_wav(directory / f"{name}.wav", pcm, encoding=wishes.pop("encoding", Encoding.PCM16))
    report = call_report(len(pcm))
    document = describe(
        CALL, report, state="complete", file=path.name, encoding="pcm16", length_samples=len(pcm), note="", error=None
    )
    replace(path.with_suffix(".json"), document)
    return FinishedRecording(
        call=CALL,
        recording_id=f"id of {name}",
        path=path,
        sidecar=path.with_suffix(".json"),
        is_take=False,
        channels=2,
        sample_rate_hz=8000,
        start_samples=0,
        length_samples=len(pcm),
        size_bytes=path.stat().st_size,
        started_wall_ns=CALL.started_wall_ns,
        ended_wall_ns=CALL.started_wall_ns + 10_000_000_000,
        **wishes,
    )
