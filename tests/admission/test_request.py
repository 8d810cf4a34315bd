"""Where tokens stand in a request, and Twilio's signature."""

from __future__ import annotations

from pathlib import Path

import pytest

from media.admission.configured import gate_of
from media.admission.credentials import Shown, of_request, without_tokens
from media.admission.tokens import Verdict
from media.admission.twilio import is_signed
from media.config import Endpoint, ServerConfig
from media.http.access import is_loopback
from strep.errors import ConfigurationError

TOKEN = "a-token-of-enough-characters"


@pytest.mark.parametrize(
    ("path", "header", "authorization", "shown"),
    [
        ("/media", [TOKEN], [], Shown((TOKEN,), ())),
        ("/media", [], [f"bearer {TOKEN}"], Shown((TOKEN,), ())),
        ("/media", [], [f"Basic {TOKEN}"], Shown((), ())),
        (f"/twilio/{TOKEN}?playback=rtp", [], [], Shown((), (TOKEN,))),
        (f"/media?playback=rtp&token={TOKEN}", [], [], Shown((TOKEN,), ())),
        ("/media?token=%41%20b", [], [], Shown(("A b",), ())),
        ("http://[broken?&=&token", [], [], Shown(("",), ())),
    ],
)
def test_where_tokens_stand(path: str, header: list[str], authorization: list[str], shown: Shown) -> None:
    assert of_request(path, header, authorization) == shown


def test_logs_have_no_token() -> None:
    assert without_tokens(f"/twilio/{TOKEN}?playback=rtp&token={TOKEN}") == "/twilio/***?playback=***&token=***"
    assert without_tokens(f"/media?{TOKEN}&a") == "/media?***=***&a=***"
    assert without_tokens("/media") == "/media"


def test_twilios_signature() -> None:
    """Worked out with OpenSSL: printf %s URL | openssl dgst -sha1 -hmac KEY -binary | base64."""
    key, url = "12345", "wss://media.example.com/twilio"
    signature = "0p9HGYJybIvZY5ER6AdY/msz2PI="
    assert is_signed(key, signature, url)
    assert is_signed(key, signature, url + "/"), "a slash at the end is as may be"
    assert not is_signed(key, signature, "wss://media.example.com/other")
    assert not is_signed("12346", signature, url)
    assert not is_signed(key, "", url)
    assert not is_signed(key, "\udc80", url)


def test_who_must_show_a_token(tmp_path: Path) -> None:
    here, everywhere = Endpoint("127.0.0.1", 0), Endpoint("0.0.0.0", 0)
    assert gate_of(ServerConfig(ws=here)) is None
    assert gate_of(ServerConfig(ws=everywhere, ws_auth="none")) is None
    with pytest.raises(ConfigurationError, match=r"--ws-token-file token.txt, or say --ws-auth none"):
        gate_of(ServerConfig(ws=everywhere))
    with pytest.raises(ConfigurationError, match="strep token"):
        gate_of(ServerConfig(ws=here, ws_auth="token"))
    file = tmp_path / "tokens"
    file.write_text(f"# of the carrier\n\n{TOKEN}\n")
    gate = gate_of(ServerConfig(ws=here, ws_token_file=file))
    assert gate is not None
    assert gate.judge([TOKEN], 0, "s") is Verdict.GOOD
    file.write_text("\n")
    with pytest.raises(ConfigurationError, match="empty"):
        gate_of(ServerConfig(ws=here, ws_token_file=file))
    with pytest.raises(ConfigurationError, match="No such file"):
        gate_of(ServerConfig(ws=here, ws_key_file=tmp_path / "none"))
    assert TOKEN not in repr(ServerConfig(ws=here, ws_tokens=(TOKEN,)))


@pytest.mark.parametrize(
    ("host", "is_it"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("example.com", False)],
)  # fmt: skip
def test_is_loopback(host: str, is_it: bool) -> None:
    assert is_loopback(host) is is_it
