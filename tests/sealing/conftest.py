from __future__ import annotations

import shutil

import pytest


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
