"""What a carrier takes on a stream, read by a table of what its documents allow: `Manner`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Union

import msgspec

from media.carrier.dialects.contract import (
    Clear,
    Command,
    Digit,
    MakeReader,
    Mark,
    Media,
    Message,
    Reader,
    StreamIdentity,
    Violation,
)

_BODIES: Mapping[str, tuple[str, type, Callable[[Any], Command]]] = {
    "media": ("payload", bytes, Media),
    "mark": ("name", str, Mark),
    "dtmf": ("digit", str, Digit),
}
"""Event to its body's one field; ``clear`` has no body."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How one carrier reads, and by which numbers it knows what is wrong.

    Attributes:
        events: that it takes.
        is_strict: a field that no document names is one too many.
        stream_name: what ``streamSid`` must say, given the stream's UUID; None where none need be named.
        one_way: for any message on a stream that takes none; None where every stream takes them.
        binary: for a binary message.
        invalid: for what does not comply.
        bad_audio: for base64 that is none.
    """

    events: tuple[str, ...] = ("media", "mark", "clear")
    is_strict: bool = False
    stream_name: Callable[[str], str] | None = None
    one_way: int | None = 0
    binary: int = 0
    invalid: int = 0
    bad_audio: int = 0


def make_reader(manner: Manner) -> MakeReader:
    """Return what makes the readers of a dialect."""
    decode = _decoder(manner)

    def make(identity: StreamIdentity, /, *, takes_audio: bool) -> Reader:
        name = manner.stream_name(identity.stream_id) if manner.stream_name is not None else None

        def read(message: Message) -> Command | Violation:
            if not takes_audio and manner.one_way is not None:
                return Violation(manner.one_way, "a message to a stream that goes one way")
            if isinstance(message, bytes):
                return Violation(manner.binary, "a binary message")
            try:
                frame = decode(message)
            except msgspec.DecodeError as error:
                is_about_audio = str(error).endswith("`$.media.payload`")
                return Violation(manner.bad_audio if is_about_audio else manner.invalid, str(error))
            if name is not None and frame.streamSid != name:
                return Violation(manner.invalid, f"streamSid {frame.streamSid[:40]!r} is not this stream's")
            return _command(frame)

        return read

    return make


def takes_nothing(why: str) -> MakeReader:
    """Return what makes the readers of a dialect that has no way back."""

    def read(_: Message) -> Command | Violation:
        return Violation(0, why)

    def make(_: StreamIdentity, /, *, takes_audio: bool) -> Reader:
        del takes_audio
        return read

    return make


def _decoder(manner: Manner) -> Callable[[str], Any]:
    """Return what decodes one of the events into a struct with its body and, where it must be named, the stream."""
    of_stream = [("streamSid", str)] if manner.stream_name is not None else []
    structs = []
    for event in manner.events:
        fields: list[tuple[str, Any]] = [*of_stream]
        if event in _BODIES:
            name, kind, _ = _BODIES[event]
            fields.append((event, msgspec.defstruct("Body", [(name, kind)], forbid_unknown_fields=manner.is_strict)))
        structs.append(
            msgspec.defstruct("Event", fields, tag_field="event", tag=event, forbid_unknown_fields=manner.is_strict)
        )
    return msgspec.json.Decoder(Union[tuple(structs)]).decode  # noqa: UP007  of a tuple that is made here


def _command(frame: msgspec.Struct) -> Command:
    event = str(frame.__struct_config__.tag)
    if event not in _BODIES:
        return Clear()
    name, _, command = _BODIES[event]
    return command(getattr(getattr(frame, event), name))
