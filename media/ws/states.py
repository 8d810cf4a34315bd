"""Where a socket's conversation stands, which frames may come there, and what any other is counted as."""

from __future__ import annotations

from enum import Enum

from media.ws.messages import Connected, Dtmf, Error, Frame, Mark, Media, Start, StartWithMedia, Stop
from media.ws.reject import WsReject


class State(Enum):
    """Where the conversation stands."""

    CONNECTING = "expecting connected or start"
    CONNECTED = "expecting start"
    STREAMING = "streaming"
    STOPPED = "stopped"


# Frames that may come, and the state after them. The connected frame may be missing, and a stream that has no start
# frame begins with its first audio.
TRANSITIONS: dict[State, dict[type[Frame], State]] = {
    State.CONNECTING: {Connected: State.CONNECTED, Start: State.STREAMING, StartWithMedia: State.STREAMING},
    State.CONNECTED: {Start: State.STREAMING},
    State.STREAMING: {
        Media: State.STREAMING,
        Dtmf: State.STREAMING,
        Mark: State.STREAMING,
        Error: State.STREAMING,
        Stop: State.STOPPED,
    },
    State.STOPPED: {},
}

# What any other frame is counted as. Frames may overtake one another, so none of these ends the stream.
MISPLACED: dict[State, WsReject] = {
    State.CONNECTING: WsReject.BEFORE_START,
    State.CONNECTED: WsReject.BEFORE_START,
    State.STREAMING: WsReject.OUT_OF_ORDER,
    State.STOPPED: WsReject.AFTER_STOP,
}
