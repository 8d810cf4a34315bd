from __future__ import annotations

import pytest

from media.ws.closing import MAX_REASON_BYTES, close_with


class TestSection55:
    """RFC 6455 section 5.5: at most 125 bytes in a control frame, UTF-8."""

    def test_short_reason_as_it_is(self) -> None:
        assert close_with(1003, "no ÄÖ") == (1003, "no ÄÖ")

    @pytest.mark.parametrize("padding", range(5))
    def test_cut_between_characters(self, padding: int) -> None:
        reason = close_with(1007, "x" * padding + "€" * 200).reason
        assert MAX_REASON_BYTES - 3 < len(reason.encode()) <= MAX_REASON_BYTES

    def test_lone_surrogate_does_not_raise(self) -> None:
        assert close_with(1007, "\ud800").reason == "?"
