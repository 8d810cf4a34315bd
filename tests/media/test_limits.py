from __future__ import annotations

import pytest

from media.limits import raise_descriptor_limit

resource = pytest.importorskip("resource")


def test_the_soft_limit_is_raised_and_never_lowered() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lower = min(soft, 512)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lower, hard))
    try:
        raised = raise_descriptor_limit()
        assert raised == resource.getrlimit(resource.RLIMIT_NOFILE)[0] or raised == 0
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= lower
        assert raise_descriptor_limit() == raised
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
