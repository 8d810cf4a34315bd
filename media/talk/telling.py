"""Plays as events (`media.events.playbacks`): when one begins to be heard, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from media.events.kinds import Event
from media.events.playbacks import PlaybackEnded, PlaybackStarted, PlayStatus
from media.talk.handle import Playback, PlayState

MAX_SOURCE_CHARACTERS = 1000
STATUSES: dict[PlayState, PlayStatus] = {
    PlayState.FINISHED: "completed",
    PlayState.CUT_OFF: "cancelled",
    PlayState.FAILED: "failed",
}


class Teller(Protocol):
    """A call, as far as plays are told of."""

    publish: Callable[[Event], object]

    @property
    def has_ended(self) -> bool:
        """Whether it is over."""


def tell_of(call: Teller, play: Playback, source: object, *, overlay: bool) -> None:
    """Publish what becomes of `play`, which is read from `source`, from now on."""
    about: dict[str, Any] = {"playback_id": play.playback_id, "overlay": overlay, "track": "outbound"}
    if isinstance(source, str):
        about["source"] = source[:MAX_SOURCE_CHARACTERS]

    def tell() -> None:
        if not play.state.is_final:
            call.publish(PlaybackStarted(**about, kind=play.kind))
            return
        is_hangup = play.state is PlayState.CUT_OFF and call.has_ended
        call.publish(
            PlaybackEnded(
                **about,
                kind=play.kind,
                status="call_hangup" if is_hangup else STATUSES[play.state],
                heard_ms=round(play.position_seconds * 1000),
                is_measured=play.is_measured,
                error=str(play.error or ""),
            )
        )

    play.on_change = tell
