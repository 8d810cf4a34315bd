"""Hypothesis profiles: `default` repeats itself exactly, `long` (STREP_FUZZ=long) explores. And less to collect."""

import gc

import pytest
from hypothesis import HealthCheck, settings

from tests.searching import PROFILE

SLOW = [HealthCheck.too_slow]  # is what a machine may be
settings.register_profile("default", deadline=None, derandomize=True, max_examples=50, suppress_health_check=SLOW)
settings.register_profile("long", deadline=None, max_examples=20_000, print_blob=True, suppress_health_check=SLOW)
settings.load_profile(PROFILE)

gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Let the garbage collector pass over what is there now: thousands of tests, which stay until the end."""
    gc.freeze()
    gc.enable()
