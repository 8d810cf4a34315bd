"""`ActionError`: why an action is not done, as whoever asked for it is told."""

from __future__ import annotations

from strep.errors import StrepError

NO_CALL, NOT_NOW, BAD_BODY, BUSY = 404, 409, 422, 503
"""Statuses of HTTP, by what they mean here."""


class ActionError(StrepError):
    """An action that is not done.

    Attributes:
        status: of HTTP.
        code: for programs.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code
