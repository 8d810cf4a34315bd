"""Commands and examples of the pages that are not run: they name what is there, and say what the code says."""

from __future__ import annotations

import json
import re
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from shutil import which
from typing import Any
from urllib.parse import urlsplit

import pytest

from media.events.bus import Told
from media.events.kinds import DigitPressed, Event
from media.events.transcripts import TranscriptionMissing
from media.sinks.contract import CallInfo
from media.ws.dialects.choosing import DIALECTS
from tests.docs.pages import ROOT, TEXT, examples, simple_commands, spans
from tests.docs.understood import context_of

DOCKER = [span for _, span in spans() if "docker run" in span]


def of(page: str, language: str) -> list[str]:
    return [one.text for one in examples() if one.page == page and one.language == language]


def calls_of_ours() -> list[list[str]]:
    """Return the words of each call of this program that stands in a block."""
    shell = [one.text for one in examples() if one.language in ("console", "sh")]
    found = [words for text in shell for _, words in simple_commands(text)]
    return [words for words in found if words[0] in ("strep", ".venv/bin/strep")]


def test_every_call_of_ours_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of those that run elsewhere: what is skipped there for want of a program is seen here."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / "CALL.wav.sealed").touch()
    assert len(calls_of_ours()) > 60
    for words in calls_of_ours():
        context_of(words[1:], tmp_path)


def test_units_are_those_that_are_there() -> None:
    """docs/operation.md: what is copied is what is enabled, and restarted."""
    copy, *control = of("docs/operation.md", "sh")
    files = sorted(ROOT.glob(copy.split()[1]))
    assert [file.name for file in files] == ["strep.service", "strep.socket"]
    named = {word for line in control for word in line.split() if re.fullmatch(r"\w+\.(service|socket)", word)}
    assert named == {file.name for file in files}
    assert [line.split()[1] for line in control] == ["daemon-reload", "enable", "restart"]


def test_settings_of_the_kernel_are_there() -> None:
    text = "\n".join(span for _, span in spans() if "sysctl" in span)
    names = set(re.findall(r"\b((?:net|fs|kernel|vm)\.[a-z_.0-9]+)=", text))
    assert "net.core.rmem_max" in names
    for name in names:
        assert Path("/proc/sys", *name.split(".")).exists(), name


def test_packages_are_those_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = {word for _, span in spans() if span.startswith("apt-get install ") for word in span.split()[2:]}
    assert named
    assert [name for name in named if not re.search(rf"(^|\s){re.escape(name)}(\s|$|\")", makefile)] == []


@pytest.mark.parametrize("line", DOCKER)
def test_the_container_gets_what_it_has_room_for(line: str) -> None:
    """Ports and volume are those of the Dockerfile, its comment says the same, and docker knows the options."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    [words] = [words for _, words in simple_commands(line) if words[:2] == ["docker", "run"]]
    ports = {words[at + 1].partition(":")[2] for at, word in enumerate(words) if word == "-p"}
    assert ports == {port.removesuffix("/tcp") for port in re.findall(r"\d+/\w+", dockerfile.rpartition("EXPOSE")[2])}
    assert words[words.index("-v") + 1].endswith(f":{re.findall(r'^VOLUME (.*)$', dockerfile, re.MULTILINE)[0]}")
    comment = dockerfile.partition("\n# Any option")[0].replace("\\\n#", "").removeprefix("# ")
    [same] = [same for _, same in simple_commands(comment) if same[:2] == ["docker", "run"]]
    assert sorted(same) == sorted(words)
    if which("docker"):
        said = subprocess.run(["docker", "run", "--help"], capture_output=True, text=True, check=True).stdout
        unknown = [word for word in words if word.startswith("-") and not re.search(rf"(^| ){word}[, \n]", said)]
        assert unknown == []


def test_the_capture_has_the_name_that_is_read() -> None:
    """docs/troubleshooting.md."""
    [tcpdump], [inspect] = of("docs/troubleshooting.md", "sh"), of("docs/troubleshooting.md", "console")
    assert re.findall(r"-w (\S+)", tcpdump) == re.findall(r"\S+\.pcap", inspect)


def test_twilio_dials_a_path_that_there_is() -> None:
    """docs/talking-back.md."""
    [text] = of("docs/talking-back.md", "xml")
    [stream] = ET.fromstring(text).iter("Stream")
    assert urlsplit(stream.attrib["url"]).path in {dialect.path for dialect in DIALECTS}


def told(event: Event) -> dict[str, Any]:
    return Told("", 2, 0, CallInfo(0, "c", "ws", 0), event).to_json()


def test_events_that_are_shown_are_events() -> None:
    """docs/listening.md."""
    shown = {said["event"]: said for said in map(json.loads, of("docs/listening.md", "json"))}
    key = DigitPressed(track="inbound", position_samples=32_800, digit="5", source="rfc4733", duration_samples=960)
    missing = TranscriptionMissing(
        track="inbound", position_samples=336_000, duration_samples=64_800,
        reason="the engine is too slow", engine="vosk",
    )  # fmt: skip
    its_own = {"call_id", "event_id", "occurred_at"}
    for event in (key, missing):
        document = told(event)
        assert shown[event.NAME].items() >= event.to_json(8000).items()
        assert shown[event.NAME].keys() - its_own <= document.keys()
    assert shown["dtmf"].keys() == told(key).keys()
    reasons = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "media/transcribing").glob("*.py"))
    assert f'"{shown["transcription_missing"]["reason"]}"' in reasons


def test_the_cue_is_that_of_the_event() -> None:
    """docs/listening.md shows the same words as JSON and as WebVTT."""
    [event] = [said for said in map(json.loads, of("docs/listening.md", "json")) if said["event"] == "transcription"]
    [text] = of("docs/listening.md", "text")
    begin_s, end_s = event["position_ms"] / 1000, (event["position_ms"] + event["duration_ms"]) / 1000
    expected = f"00:00:{begin_s:06.3f} --> 00:00:{end_s:06.3f}\n<v {event['track']}>{event['text']}\n"
    assert text == f"WEBVTT\n\n{expected}"


def test_no_console_hides_a_command() -> None:
    """A line of a console without a dollar is output, and no call of this program."""
    for page, text in TEXT.items():
        for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            hidden = [line for line in block.splitlines() if re.match(r"(\.venv/bin/)?(strep|curl|python) ", line)]
            assert hidden == [], page
