"""Why a message is refused."""

from __future__ import annotations

import pytest

from media.ws.messages import parse
from strep.errors import WireError


def reason(message: str | bytes) -> str:
    with pytest.raises(WireError) as caught:
        parse(message)
    text = str(caught.value)
    assert text.startswith(caught.value.reason)
    assert len(text) > len(caught.value.reason) + 2
    assert text.isascii()
    assert len(text) < 120
    assert "\n" not in text
    return caught.value.reason
