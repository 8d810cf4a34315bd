"""How many examples a search takes: a few in the test suite, where each of them is dear, and many in `make fuzz`."""

from __future__ import annotations

import os

from hypothesis import settings

PROFILE = os.environ.get("STREP_FUZZ", "default")
IS_LONG = PROFILE == "long"


def brief(examples: int) -> settings:
    """Return settings of `examples`; in the long form there are as many as anywhere."""
    return settings() if IS_LONG else settings(max_examples=examples)
