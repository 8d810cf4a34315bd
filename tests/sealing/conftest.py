from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from strep.clock import NS_PER_SECOND, ManualClock
from tests.sealing.sealed_files import one_of_each


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed: make peers")
    return path


@pytest.fixture
def age_program() -> str:
    return _program("age")


@pytest.fixture
def age_keygen() -> str:
    return _program("age-keygen")


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return one_of_each(tmp_path_factory.mktemp("small"))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(5 * NS_PER_SECOND)
