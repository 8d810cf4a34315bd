"""Hypothesis profiles: `default` repeats itself exactly, `long` (STREP_FUZZ=long) explores."""

from hypothesis import settings

from tests.searching import PROFILE

settings.register_profile("default", deadline=None, derandomize=True)
settings.register_profile("long", deadline=None, max_examples=20_000, print_blob=True)
settings.load_profile(PROFILE)
