"""The exception tree: the peer's mistakes are another branch than the operator's and the programmer's."""

from __future__ import annotations

import pytest

from strep.errors import ConfigurationError, StrepError, UsageError, WireError
from strep.reject import Reject


def test_a_wire_error_names_its_reason() -> None:
    error = WireError("TRUNCATED", "3 bytes")
    assert (error.reason, str(error)) == ("TRUNCATED", "TRUNCATED: 3 bytes")


@pytest.mark.parametrize("kind", [WireError, ConfigurationError, UsageError])
def test_one_root_and_separate_branches(kind: type[StrepError]) -> None:
    assert kind.__bases__ == (StrepError,)


def test_only_not_rejected_is_false() -> None:
    assert [reason for reason in Reject if not reason] == [Reject.NONE]
    assert len({reason.text for reason in Reject}) == len(Reject)
