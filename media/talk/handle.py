"""`Playback`: one play as its owner sees it. What happens to it is the player's doing (`media.talk.player`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING
from uuid import uuid4

from media.events.playbacks import PlayKind
from media.talk.contract import PlaybackError

if TYPE_CHECKING:
    from media.talk.voice import Voice

MIN_VOLUME_DB, MAX_VOLUME_DB = -40.0, 40.0
"""SignalWire's range of ``calling.play.volume``; Telnyx has none."""


LABEL_CHARACTERS = 40
"""Of a text that is spoken, in logs and reports."""


def name_of(source: object) -> str:
    """Return what a source is called in logs and reports: a URL, a file's name, else what it is."""
    if isinstance(source, PurePath):
        return source.name
    return source if isinstance(source, str) else type(source).__name__


def label_of(text: str) -> str:
    """Return the beginning of a text that is spoken."""
    return text if len(text) <= LABEL_CHARACTERS else f"{text[: LABEL_CHARACTERS - 3]}..."


class PlayState(Enum):
    """Where a play stands; the last three are final."""

    QUEUED = "queued"
    PLAYING = "playing"
    PAUSED = "paused"
    FINISHED = "finished"
    """It was heard to its end."""
    CUT_OFF = "cut off"
    """It was stopped, cleared, or the call ended."""
    FAILED = "failed"
    """Its source or the carrier refused; `Playback.error` says why."""

    @property
    def is_final(self) -> bool:
        """Whether nothing comes after it."""
        return self in (PlayState.FINISHED, PlayState.CUT_OFF, PlayState.FAILED)


class PlaybackControl:
    """What a handle may ask for; the call's playout does it, this one is for plays that belong to none."""

    def pause(self, voice: Voice) -> None:
        """Stop sounding, at once and not when what the carrier has in stock is over."""
        voice.is_paused = True

    def resume(self, voice: Voice) -> None:
        """Go on where it was heard last."""
        voice.is_paused = False

    def stop(self, voice: Voice) -> None:
        """End it for good."""
        voice.handle.settle(PlayState.CUT_OFF)

    def refresh(self, voice: Voice) -> None:
        """Take back what the carrier does not have yet, so that a change is heard with what is sent next."""


class Playback:
    """The handle of one play.

    Attributes:
        label: for logs and reports: a path, a URL, the beginning of a text.
        kind: what asked for it.
        playback_id: UUID, its name in events.
        state: where it stands.
        error: why it failed, else None.
        position_samples: samples of it that were heard, every pass of a loop counted, at `sample_rate_hz`.
        is_measured: whether the carrier's marks say so; if not it is estimated by the clock.
    """

    def __init__(self, sample_rate_hz: int, label: str = "") -> None:
        self.label = label
        self.kind: PlayKind = "play"
        self.playback_id = str(uuid4())
        self.sample_rate_hz = sample_rate_hz
        self.state = PlayState.QUEUED
        self.error: PlaybackError | None = None
        self.position_samples = 0
        self.is_measured = False
        self._voice: Voice | None = None
        self._control = PlaybackControl()
        self._waiters: list[Callable[[], None]] = []
        self.on_change: Callable[[], object] = lambda: None  # called when it begins to be heard, and when it is over

    def __repr__(self) -> str:
        """Return what it is and where it stands."""
        return f"<Playback {self.label!r} {self.state.value} at {self.position_seconds:.2f} s>"

    @property
    def position_seconds(self) -> float:
        """How much of it was heard."""
        return self.position_samples / self.sample_rate_hz

    @property
    def is_overlay(self) -> bool:
        """Whether it lies over what plays; of one that has ended nobody knows."""
        return self._voice is not None and self._voice.is_overlay

    @property
    def is_paused(self) -> bool:
        """Whether it is silent, and keeps its place, also where its turn has not come yet."""
        return self._voice is not None and self._voice.is_paused

    @property
    def volume_db(self) -> float:
        """Its volume in dB, 0 as it is in the source; setting it takes effect smoothly, with what is sent next.

        Raises:
            ValueError: not within -40 to 40.
        """
        return self._voice.volume_db if self._voice else 0.0

    @volume_db.setter
    def volume_db(self, value: float) -> None:
        if self._voice and value != self._voice.volume_db:
            self._control.refresh(self._voice)
            self._voice.volume_db = value

    def pause(self) -> None:
        """Fall silent, and keep the place; a play that has ended stays as it is."""
        if self._voice and not self.state.is_final and not self._voice.is_paused:
            self._control.pause(self._voice)
            if self.state is PlayState.PLAYING:
                self.state = PlayState.PAUSED

    def resume(self) -> None:
        """Go on after `pause`, with the sample behind the last one that was heard."""
        if self._voice and not self.state.is_final and self._voice.is_paused:
            if self.state is PlayState.PAUSED:
                self.state = PlayState.PLAYING
            self._control.resume(self._voice)

    def stop(self) -> None:
        """End it: what the carrier still has of it is not heard, what is queued behind it begins."""
        if self._voice and not self.state.is_final:
            self._control.stop(self._voice)

    async def wait(self) -> Playback:
        """Wait until it has ended, and return it: `state` says how, `error` why. A failed one raises nothing."""
        if not self.state.is_final:
            ended = asyncio.get_running_loop().create_future()

            def tell() -> None:
                if not ended.done():
                    ended.set_result(None)

            self._waiters.append(tell)
            try:
                await ended
            finally:
                if tell in self._waiters:
                    self._waiters.remove(tell)
        return self

    # -- the player's side ---------------------------------------------------------------------------

    def bind(self, voice: Voice, control: PlaybackControl) -> None:
        """Belong to a player from here on."""
        self._voice, self._control = voice, control

    def begin(self) -> None:
        """Take note that it is heard."""
        if self.state is PlayState.QUEUED:
            self.state = PlayState.PLAYING
            self.on_change()

    def settle(self, state: PlayState, error: PlaybackError | None = None) -> None:
        """End in a final state, once; close the source and wake whoever waits."""
        if self.state.is_final:
            return
        self.state, self.error = state, error
        if self._voice:
            self._voice.close()
            self._voice = None
        self.on_change()
        waiters, self._waiters = self._waiters, []
        for tell in waiters:
            tell()


@dataclass(frozen=True, slots=True)
class Heard:
    """How much of a play was really heard when it was cut off.

    Attributes:
        play: its handle.
        heard_samples: at the play's sample rate, every pass of a loop counted.
        is_measured: bounded by the carrier's marks, to within one message; else estimated by the clock.
    """

    play: Playback
    heard_samples: int
    is_measured: bool

    @property
    def heard_seconds(self) -> float:
        """The same in seconds."""
        return self.heard_samples / self.play.sample_rate_hz
