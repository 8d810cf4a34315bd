"""docs/quickstart.md: every command runs and ends in a recording; requests have the fields that carriers name."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from media.admission.tokens import new_token
from media.carrier.dialects import DIALECTS
from media.ws.dialects.choosing import DIALECTS as HEARD
from tests.media.serving import ENVIRONMENT, serving
from tests.patience import PATIENCE_S

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "quickstart.md").read_text(encoding="utf-8")
STREP = ".venv/bin/strep"
DIALLED = re.compile(r"127\.0\.0\.1:(9000|9001|4000,4001)")

# The fields as the carriers' documents have them: Telnyx, "Forking start", "Streaming start"; SignalWire,
# "calling.tap" and "calling.stream" of its calling API; Twilio, "Stream resource"; TryVox, "Stream".
FORK_START = {"target", "rx", "tx", "stream_type", "client_state", "command_id"}
STREAMING_START = {
    "stream_url",
    "stream_track",
    "stream_codec",
    "stream_bidirectional_mode",
    "stream_bidirectional_codec",
    "stream_bidirectional_sampling_rate",
    "stream_bidirectional_target_legs",
    "stream_auth_token",
    "custom_parameters",
    "client_state",
    "command_id",
}
TAP = {"control_id", "tap", "device", "status_url"}
TAP_DEVICES = {"rtp": {"addr", "port", "codec", "ptime"}, "ws": {"uri", "codec"}}
STREAM = {
    "control_id",
    "url",
    "codec",
    "track",
    "name",
    "authorization_bearer_token",
    "custom_parameters",
    "status_url",
}
TRYVOX_STREAM = {"url", "name", "track", "status_callback_url", "parameters"}
TRACKS = {"inbound_track", "outbound_track", "both_tracks"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def pairs() -> list[tuple[str, str]]:
    """Return each ``strep simulate`` of the page with the ``strep serve`` before it."""
    found, server = [], ""
    for line in "".join(blocks("console")).splitlines():
        program, command, rest = line.removeprefix("$ ").removeprefix("(umask 077; ").split(" ", 2)
        assert program == STREP
        if command == "serve":
            server = rest
        elif command == "simulate":
            found.append((server, rest))
        else:
            assert command in ("token", "doctor")
    return found


def requests() -> list[list[str]]:
    """Return the words of every curl."""
    lines = "".join(blocks("sh")).replace("\\\n", " ")
    return [shlex.split(text) for text in re.findall(r"^curl .*?(?=^curl |\Z)", lines, re.DOTALL | re.MULTILINE)]


def with_flag(words: list[str], flag: str) -> list[str]:
    return [words[at + 1] for at, word in enumerate(words) if word == flag]


@pytest.mark.realtime
def test_every_command_ends_in_a_recording(tmp_path: Path) -> None:
    """Each server of the page is called by all who call it there."""
    told, token = pairs(), new_token()
    (tmp_path / "tokens.txt").write_text(token + "\n")

    def recorded(server: str) -> list[str]:
        """Return the states of all recordings of one server, which all of its callers call at once."""
        callers = sorted({caller for given, caller in told if given == server})
        folder = tmp_path / f"recordings {server[:5]}"
        words = [re.sub(r":(9000|9001|4000|4001)\b", ":0", word) for word in shlex.split(server)]
        words = [str(folder) if word == "recordings" else word for word in words]
        with serving(*words, "--drain-timeout", "0", folder=tmp_path) as (process, addresses):
            where = addresses.get("udp") or addresses.get("ws") or addresses["rtp"]["desk"]
            if isinstance(where, dict):
                where = f"{where['rx']},{where['tx'].rpartition(':')[2]}"
            where = where.replace("0.0.0.0", "127.0.0.1")
            commands = [shlex.split(DIALLED.sub(where, caller).replace("TOKEN", token)) for caller in callers]
            strep = [sys.executable, "-m", "media.cli", "simulate"]
            calling = [
                subprocess.Popen([*strep, *given], env=ENVIRONMENT, stdout=subprocess.DEVNULL) for given in commands
            ]
            assert [caller.wait(PATIENCE_S) for caller in calling] == [0] * len(calling)
            process.terminate()
            assert process.wait(PATIENCE_S) == 0
        made = [json.loads(path.read_text())["state"] for path in folder.glob("*.json")]
        assert len(made) == len(callers)
        return made

    servers = sorted({server for server, _ in told})
    with ThreadPoolExecutor(len(servers)) as at_once:
        made = [state for states in at_once.map(recorded, servers) for state in states]
    assert made == ["complete"] * len(set(told))
    assert len(made) == 7


def test_every_dialect_is_tried_at_its_path() -> None:
    tried = {}
    for _, caller in pairs():
        words = shlex.split(caller)
        if url := with_flag(words, "--ws"):
            [dialect] = with_flag(words, "--dialect") or ["telnyx"]
            tried[dialect] = urlsplit(url[0]).path.removesuffix("/TOKEN")
    assert tried.keys() == DIALECTS.keys()
    assert tried == {dialect.name: dialect.path for dialect in HEARD}


def test_requests_to_telnyx() -> None:
    found = [words for words in requests() if "telnyx" in words[3]]
    actions = [words[3].rpartition("/")[2] for words in found]
    assert actions == ["fork_start", "fork_start", "streaming_start"]
    for action, words in zip(actions, found, strict=True):
        [body] = map(json.loads, with_flag(words, "-d"))
        assert body.keys() <= (FORK_START if action == "fork_start" else STREAMING_START)
        if action == "fork_start":
            assert ("target" in body) != ({"rx", "tx"} <= body.keys())
            assert all(
                re.fullmatch(r"udp:203\.0\.113\.10:\d+", body[key]) for key in body.keys() & {"target", "rx", "tx"}
            )
        else:
            assert body["stream_track"] in TRACKS
            assert f"playback={body['stream_bidirectional_mode']}" in body["stream_url"]


def test_requests_to_signalwire() -> None:
    found = [words for words in requests() if "signalwire" in words[3]]
    assert len(found) == 4
    for words in found:
        [body] = map(json.loads, with_flag(words, "-d"))
        assert body.keys() == {"id", "command", "params"}
        params: dict[str, Any] = body["params"]
        if body["command"] == "calling.stream":
            assert params.keys() <= STREAM
            assert params["track"] in TRACKS
            continue
        assert body["command"] == "calling.tap"
        assert params.keys() <= TAP
        assert params["tap"]["params"]["direction"] in ("speak", "listen", "both")
        device = params["device"]
        assert device["params"].keys() <= TAP_DEVICES[device["type"]]


def test_requests_to_twilio_and_tryvox() -> None:
    [words] = [words for words in requests() if "twilio" in words[3]]
    assert dict(field.split("=", 1) for field in with_flag(words, "-d") + with_flag(words, "--data-urlencode")) == {
        "Url": "wss://media.example.com/twilio/TOKEN",
        "Track": "both_tracks",
    }
    for text in blocks("xml"):
        [[stream]] = [list(element) for element in ET.fromstring(text)]
        assert stream.tag == "Stream"
        assert stream.attrib.keys() <= {"url", "track", "name", "statusCallback"}
        assert stream.get("track", "inbound_track") in TRACKS
    [verb] = map(json.loads, blocks("json"))
    assert verb.keys() <= TRYVOX_STREAM
    assert verb["track"] in TRACKS


def test_every_address_of_a_carrier_is_one_that_a_door_has() -> None:
    """What carriers are told and what servers are given are the same ports and paths."""
    told = {port for text in blocks("sh") for port in re.findall(r'203\.0\.113\.10(?::|", "port": )(\d+)', text)}
    given = {port for server, _ in pairs() for port in re.findall(r"0\.0\.0\.0:(\d+)", server)}
    assert told == given
    paths = {
        urlsplit(url).path.removesuffix("/TOKEN") for url in re.findall(r"wss://media\.example\.com/[^\s\"`]+", PAGE)
    }
    assert paths == {dialect.path for dialect in HEARD}
