"""The applications that come along, each through one conversation."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from media.apps import BUILT_IN, load_app
from strep.errors import ConfigurationError
from strep.g711 import Codec, decode
from tests.talk.live_calls import TONE, Carrier, serving, stream

pytestmark = pytest.mark.realtime


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_is_found_by_its_name(name: str) -> None:
    assert callable(load_app(name))


@pytest.mark.parametrize(
    ("name", "why"), [("eco", "there is no 'eco'"), ("nowhere:f", "cannot be imported"), ("sys:path", "no function")]
)
def test_what_is_none_is_refused(name: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        load_app(name)


def test_one_of_the_users_is_found_where_the_server_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "an_app_of_the_user.py").write_text("async def greet(call):\n    await call.ended()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    assert load_app("an_app_of_the_user:greet").__name__ == "greet"


def loudest(carrier: Carrier) -> int:
    heard = decode(np.frombuffer(carrier.heard, np.uint8), Codec.PCMU)
    return int(np.abs(heard.astype(int)).max(initial=0))


@pytest.mark.parametrize("name", ["echo", "parrot"])
async def test_what_is_said_is_said_back(name: str) -> None:
    """All comes at once, before the application has begun or behind that: it hears it from the first sample."""
    async with serving(load_app(name)) as server, stream(server) as carrier:
        await carrier.talk(np.concatenate([TONE, np.zeros(8000, np.int16)]))
        await carrier.until(lambda: loudest(carrier) > 7000)
