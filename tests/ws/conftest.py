"""What touches a socket runs on both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from media.runtime import loop_factory


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    fast = loop_factory()
    if fast is not None and "test_server" in item.nodeid:
        factories["uvloop"] = fast
    return factories
