"""Shell: what each caller heard, as a WAV and a JSON file named after its stream."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path

import msgspec

from media.carrier.plan import Plan
from media.carrier.playback import Playback
from strep.errors import ConfigurationError


class HeardFiles:
    """Written while the calls last, so that long ones need no memory.

    Args:
        folder: made if it is not there.
        plan: of the calls.

    Raises:
        ConfigurationError: nothing can be written there.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        options = plan.options.websocket
        self._about = {
            "dialect": options.dialect,
            "mode": options.mode.value,
            "target_legs": options.target_legs.value,
        }
        names = [track.stream_id for track in plan.truth().tracks]
        per_call = len(names) // plan.options.calls
        self._paths = [folder / name for name in names[::per_call]]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._waves = [wave.open(f"{path}.wav", "wb") for path in self._paths]  # noqa: SIM115 - one for each call
        except OSError as error:
            raise ConfigurationError(f"heard: {error}") from error
        for file in self._waves:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(options.playback_encoding.sample_rate_hz)

    def settle(self, playbacks: Sequence[Playback], now_ns: int) -> None:
        """Write what has been heard by now."""
        for file, playback in zip(self._waves, playbacks, strict=True):
            position = playback.position(now_ns)
            if playback.heard.end_samples:
                position = min(position, playback.heard.end_samples)
            pcm = playback.tape.take(position)
            if len(pcm):
                file.writeframesraw(pcm.astype("<i2").tobytes())

    def finish(self, playbacks: Sequence[Playback]) -> None:
        """Write the rest, and the JSON."""
        for path, file, playback in zip(self._paths, self._waves, playbacks, strict=True):
            file.writeframesraw(playback.tape.take(playback.heard.end_samples).astype("<i2").tobytes())
            file.close()
            story = msgspec.json.encode(self._about | playback.heard.describe())
            path.with_name(path.name + ".json").write_bytes(msgspec.json.format(story, indent=1) + b"\n")
