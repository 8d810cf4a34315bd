"""Documents of ours in JSON, read back from where something else may lie by now."""

from __future__ import annotations

from typing import TypeVar

import msgspec

T = TypeVar("T")


def read_document(content: bytes, kind: type[T]) -> T:
    """Return what `content` says, as a `kind`.

    Raises:
        ValueError: it is none, whatever is wrong with it: no JSON, no UTF-8, other fields, nested too deeply.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except RecursionError as error:  # the only one that is no ValueError
        raise ValueError(str(error)) from None
