"""What cannot be kept together with encryption is refused before anything is written in clear."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from media.config import Endpoint, ServerConfig
from media.nats.config import NatsConfig
from media.sealing.checks import check_sealing, plain_beside
from media.sealing.keys import Recipient
from media.server import Server
from media.settings import load
from strep.errors import ConfigurationError
from tests.sealing.people import ALICE, BOB, FOR_ALICE

BASE: dict[str, Any] = {"udp": Endpoint("127.0.0.1", 0), "record": Path("recordings"), "encrypt_to": FOR_ALICE}


def test_what_can_be() -> None:
    assert check_sealing(ServerConfig(**BASE)) == ServerConfig(**BASE)
    check_sealing(ServerConfig(**BASE | {"record": None, "takes": Path("takes")}))
    check_sealing(ServerConfig(deliver_format=("flac",)))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"record": None}, "record"),
        ({"deliver_format": ("flac",)}, "strep unseal"),
        ({"nats": NatsConfig(spool=Path("spool"))}, "nats_spool"),
        ({"webhook_spool": Path("spool")}, "webhook_spool"),
        ({"encrypt_to": (Recipient(bytes(32)),)}, "no point"),
    ],
)
def test_what_cannot_be(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        check_sealing(ServerConfig(**BASE | given))
    with pytest.raises(ConfigurationError, match=says):
        Server(ServerConfig(**BASE | given))


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.x25519", None)
    with pytest.raises(ConfigurationError, match=r"strep\[encrypt\]"):
        check_sealing(ServerConfig(**BASE))


def test_sinks_of_others_are_pointed_out() -> None:
    assert not plain_beside(ServerConfig(**BASE))
    [warning] = plain_beside(ServerConfig(**BASE, sinks=("mine",)))
    assert "mine" in warning


class TestOption:
    def load(self, *recipients: str) -> ServerConfig:
        return load({"udp": ":0", "record": "recordings", "encrypt_to": recipients}, {}).server

    def test_repeated(self) -> None:
        both = self.load(str(ALICE.recipient), str(BOB.recipient))
        assert both.encrypt_to == (ALICE.recipient, BOB.recipient)

    def test_as_a_variable(self) -> None:
        given = f"{ALICE.recipient};{BOB.recipient}"
        environment = {"STREP_ENCRYPT_TO": given, "STREP_UDP": ":0", "STREP_RECORD": "recordings"}
        assert load({}, environment).server.encrypt_to == (ALICE.recipient, BOB.recipient)

    def test_a_private_key_is_refused_and_not_shown(self) -> None:
        with pytest.raises(ConfigurationError, match="private key") as caught:
            self.load(ALICE.reveal())
        assert ALICE.reveal() not in str(caught.value)
