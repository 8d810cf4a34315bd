"""`Operation`: what one route takes and answers, beside the route, for `media.http.openapi`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec


class ErrorText(msgspec.Struct):
    """What went wrong.

    Attributes:
        code: for programs.
        message: for people; it says what to do.
    """

    code: str
    message: str


class ErrorReply(msgspec.Struct):
    """Every refusal.

    Attributes:
        error: why.
    """

    error: ErrorText


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query.

    Attributes:
        name: as it is written.
        schema: of its value, JSON Schema.
        text: what it does.
    """

    name: str
    schema: dict[str, Any]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    Attributes:
        method: in lower case.
        path: with its parameters in braces.
        summary: what it does, in one sentence.
        parameters: of the query.
        body: the type of what is sent as JSON; None: nothing is.
        one_of: fields of it of which there is just one.
        status: of success.
        answer: type of what is answered as JSON; None: see `media_type`.
        is_wrapped: the answer is in ``{"data": ...}``.
        media_type: of another answer; "": none, as of a WebSocket.
        may_be_empty: 204, where there is nothing to answer with.
        refusals: statuses of errors, beside those of access.
        is_open: for whoever asks.
    """

    method: str
    path: str
    summary: str
    parameters: tuple[Parameter, ...] = ()
    body: type[msgspec.Struct] | None = None
    one_of: tuple[str, ...] = ()
    status: int = 200
    answer: type[msgspec.Struct] | None = None
    is_wrapped: bool = False
    media_type: str = ""
    may_be_empty: bool = False
    refusals: tuple[int, ...] = field(default=())
    is_open: bool = False


def page_parameters(default: int, most: int) -> tuple[Parameter, ...]:
    """Return the parameters of a long list that is answered in parts; `default` and `most` are of one part."""
    return (
        Parameter(
            "offset", {"type": "integer", "minimum": 0, "maximum": 10**9, "default": 0}, "So many are left out."
        ),
        Parameter(
            "limit", {"type": "integer", "minimum": 0, "maximum": most, "default": default}, "So many at the most."
        ),
    )
