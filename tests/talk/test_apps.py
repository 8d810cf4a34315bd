"""The applications that come along, each through one conversation."""

from __future__ import annotations

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


def loudest(carrier: Carrier) -> int:
    heard = decode(np.frombuffer(carrier.heard, np.uint8), Codec.PCMU)
    return int(np.abs(heard.astype(int)).max(initial=0))


@pytest.mark.parametrize("name", ["echo", "parrot"])
async def test_what_is_said_is_said_back(name: str) -> None:
    async with serving(load_app(name)) as server, stream(server) as carrier:
        await carrier.talk(np.concatenate([TONE, np.zeros(8000, np.int16)]))
        await carrier.until(lambda: loudest(carrier) > 7000)
