"""``strep call``: which call is meant, what the server is told, what is printed, and how it exits."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from media import cli
from media.control.commands import MAX_CONTENT_BYTES
from media.terminal.client import NO_SUCH_CALL
from media.terminal.errand import CALL_ENDED, OTHERWISE
from tests.feed.test_tap import recording_server
from tests.feed.test_tap import run as process
from tests.terminal.fake import FakeServer, call_of, fake_server


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with fake_server() as fake:
        fake.calls = [call_of("alpha-1", 1), call_of("beta-2", 3), call_of("alpha-3", 2)]
        yield fake


def run(server: FakeServer, *arguments: str, input_: bytes | None = None) -> Result:
    return CliRunner(env={"STREP_URL": server.url}).invoke(cli.strep, ["call", *arguments], input=input_)


def data(**fields: Any) -> tuple[int, Any]:
    return 200, {"data": {"result": "ok", **fields}}


class TestWhichCall:
    @pytest.mark.parametrize(
        ("given", "meant"), [("any", "beta-2"), ("-", "beta-2"), ("alpha-1", "alpha-1"), ("b", "beta-2")]
    )
    def test_the_newest_an_id_or_its_beginning(self, server: FakeServer, given: str, meant: str) -> None:
        result = run(server, given, "clear")
        assert (result.exit_code, server.told) == (cli.OK, (meant, "clear", {}))

    def test_an_id_that_is_the_beginning_of_another(self, server: FakeServer) -> None:
        server.calls.append(call_of("alpha"))
        run(server, "alpha", "clear")
        assert server.told[0] == "alpha"

    @pytest.mark.parametrize(
        ("given", "said"), [("gamma", "no live call 'gamma'"), ("alpha", "2 live calls begin with 'alpha'")]
    )
    def test_none_or_two(self, server: FakeServer, given: str, said: str) -> None:
        result = run(server, given, "clear")
        assert (result.exit_code, server.acted) == (NO_SUCH_CALL, [])
        assert said in result.output

    def test_no_call_at_all(self, server: FakeServer) -> None:
        server.calls.clear()
        assert run(server, "any").exit_code == NO_SUCH_CALL

    def test_an_id_is_quoted(self, server: FakeServer) -> None:
        server.calls = [call_of("a/../b?c")]
        assert run(server, "a/../b?c", "clear").exit_code == cli.OK
        assert server.told[0] == "a/../b?c"

    def test_it_ended_meanwhile(self, server: FakeServer) -> None:
        server.answers["clear"] = 404, {"error": {"code": "no_such_call", "message": "gone"}}
        assert run(server, "any", "clear").exit_code == NO_SUCH_CALL


ACTIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("play http://h/a.mp3 --loop 3 --volume -6 --overlay", "playback_start",
     {"audio_url": "http://h/a.mp3", "loop": 3, "volume_db": -6.0, "overlay": True}),
    ("play --media hold.wav --loop infinity --stop all", "playback_start",
     {"media_name": "hold.wav", "loop": "infinity", "stop": "all"}),
    ("speak Hello --voice f1 --language de-DE", "speak", {"payload": "Hello", "voice": "f1", "language": "de-DE"}),
    ("stop", "playback_stop", {}),
    ("stop --current --overlay --playback-id p", "playback_stop",
     {"stop": "current", "overlay": True, "playback_id": "p"}),
    ("pause", "playback_pause", {}),
    ("resume --playback-id p", "playback_resume", {"playback_id": "p"}),
    ("volume -6", "playback_volume", {"volume_db": -6.0}),
    ("volume 0", "playback_volume", {"volume_db": 0.0}),
    ("clear", "clear", {}),
    ("dtmf 12w#* --duration 100", "send_dtmf", {"digits": "12w#*", "duration_millis": 100}),
    ("record start", "record_start", {}),
    ("record start --format mp3 --channels single --track inbound --beep --max 60 --silence 5 --trim --name a "
     "--look-back 2", "record_start",
     {"format": "mp3", "channels": "single", "recording_track": "inbound", "play_beep": True, "max_length": 60.0,
      "timeout_secs": 5.0, "trim": "trim-silence", "custom_file_name": "a", "look_back_secs": 2.0}),
    ("record stop --recording-id r", "record_stop", {"recording_id": "r"}),
    ("record pause --omit --by me --reason card", "record_pause", {"mode": "omit", "by": "me", "reason": "card"}),
    ("record resume", "record_resume", {}),
    ("transcribe start --track both --language en-US --interim", "transcription_start",
     {"transcription_tracks": "both",
      "transcription_engine_config": {"language": "en-US", "interim_results": True}}),
    ("transcribe stop", "transcription_stop", {}),
    ("denoise start --track outbound", "suppression_start", {"direction": "outbound"}),
    ("denoise stop", "suppression_stop", {}),
    ("hangup", "hangup", {}),
]  # fmt: skip


class TestWhatTheServerIsTold:
    @pytest.mark.parametrize(("line", "action", "body"), ACTIONS)
    def test_actions(self, server: FakeServer, line: str, action: str, body: dict[str, Any]) -> None:
        result = run(server, "beta", *line.split())
        assert (result.exit_code, result.output) == (cli.OK, "")
        assert server.told == ("beta-2", action, body)

    def test_every_action_is_among_them(self) -> None:
        from media.terminal.call import call

        assert {line.split()[0] for line, _, _ in ACTIONS} | {"gather"} == set(call.commands)

    def test_a_file_is_sent_along(self, server: FakeServer, tmp_path: Path) -> None:
        path = tmp_path / "a b.wav"
        path.write_bytes(b"RIFF\0")
        server.answers["playback_start"] = data(playback_id="p1")
        result = run(server, "any", "play", str(path))
        assert result.output == "p1\n"
        assert base64.b64decode(server.told[2]["playback_content"]) == b"RIFF\0"

    def test_standard_input_is(self, server: FakeServer) -> None:
        run(server, "any", "play", "-", input_=b"ID3")
        assert server.told[2] == {"playback_content": base64.b64encode(b"ID3").decode()}

    def test_a_command_id(self, server: FakeServer) -> None:
        run(server, "any", "clear", "--command-id", "once")
        run(server, "any", "clear")
        assert server.acted[0][2] == {"command_id": "once"}
        assert server.acted[1][2]["command_id"] != "once"

    @pytest.mark.parametrize("where", [0, 1, 2])
    def test_options_of_the_server_stand_anywhere(self, server: FakeServer, where: int) -> None:
        words = ["any", "clear"]
        words[where:where] = ["--url", server.url, "--token", "t"]
        assert CliRunner().invoke(cli.strep, ["call", *words]).exit_code == cli.OK
        assert server.authorizations == {"Bearer t"}

    def test_what_programs_want_and_json(self, server: FakeServer) -> None:
        server.answers["playback_stop"] = data(playback_ids=["a", "b"])
        assert run(server, "any", "stop").output == "a\nb\n"
        document = {"result": "ok", "playback_ids": ["a", "b"]}
        assert json.loads(run(server, "any", "stop", "--json").output) == document
        assert json.loads(run(server, "any", "--json", "stop").output) == document

    def test_a_refusal(self, server: FakeServer) -> None:
        server.answers["clear"] = 409, {"error": {"code": "one_way", "message": "cannot play\x1b[2J into it"}}
        result = run(server, "any", "clear")
        assert (result.exit_code, result.output) == (cli.FAILED, "Error: cannot play�[2J into it\n")

    def test_a_server_without_actions(self, server: FakeServer) -> None:
        server.answers["clear"] = 404, {"error": {"code": "not_found", "message": "there is no such path"}}
        assert "the server does no actions: there is no such path" in run(server, "any", "clear").output


class TestMisuse:
    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("any plai x", "No such command: plai. Did you mean play?"),
            ("any record star", "Did you mean start?"),
            ("any play", "give a FILE or URL to play"),
            ("any play /nowhere.wav", "No such file or directory; for a file of the server there is --media"),
            ("any play x --loop 101", "'101' is not a number from 1 to 100, or infinity"),
            ("any volume loud", "'loud' is not a valid float range"),
            ("any gather --prompt a --media b", "--prompt or --media, not both"),
            ("any gather --tries 2", "--invalid and --tries are of a prompt"),
            ("any gather --prompt Hello --invalid http://h/", "--invalid is said if the prompt is"),
            ("any gather --prompt README.md", "a file must be where the server finds it"),
        ],
    )
    def test_one_line_and_nothing_is_done(
        self, server: FakeServer, line: str, said: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(Path(__file__).parent.parent.parent)
        result = run(server, *line.split())
        assert (result.exit_code, server.acted) == (cli.MISUSED, [])
        assert said in result.output

    def test_a_file_that_is_too_large(self, server: FakeServer, tmp_path: Path) -> None:
        path = tmp_path / "long.wav"
        path.touch()
        with path.open("r+b") as file:
            file.truncate(MAX_CONTENT_BYTES + 1)
        result = run(server, "any", "play", str(path))
        assert (result.exit_code, server.acted) == (cli.MISUSED, [])
        assert "more than 6 MiB" in result.output


PLAY = "play http://h/a.mp3 --wait"
GATHER = "gather --max 4 --prompt PIN"
RECORD = "record start --wait"
ENDS: list[tuple[str, dict[str, Any], int, str]] = [
    (PLAY, {"event": "playback_ended", "status": "completed", "heard_ms": 1500}, cli.OK, ""),
    (PLAY, {"event": "playback_ended", "status": "cancelled", "heard_ms": 500}, OTHERWISE, ""),
    (PLAY, {"event": "playback_ended", "status": "call_hangup", "heard_ms": 0}, CALL_ENDED, ""),
    (PLAY, {"event": "playback_ended", "status": "failed", "error": "no audio"}, cli.FAILED, ""),
    (PLAY, {"event": "call_ended", "reason": "stop"}, CALL_ENDED, ""),
    ("speak Hello --wait", {"event": "playback_ended", "status": "completed"}, cli.OK, ""),
    ("dtmf 1 --wait", {"event": "playback_ended", "status": "completed"}, cli.OK, ""),
    (GATHER, {"event": "gather_ended", "digits": "1234", "status": "valid"}, cli.OK, "1234\n"),
    (GATHER, {"event": "gather_ended", "digits": "????", "status": "valid"}, OTHERWISE, ""),
    (GATHER, {"event": "gather_ended", "digits": "12", "status": "timeout"}, OTHERWISE, ""),
    (GATHER, {"event": "gather_ended", "digits": "", "status": "call_hangup"}, CALL_ENDED, ""),
    (RECORD, {"event": "recording_saved", "path": "/r/a.wav"}, cli.OK, "/r/a.wav\n"),
    (RECORD, {"event": "recording_saved", "files": [{"url": "s3://b/a.mp3"}]}, cli.OK, "s3://b/a.mp3\n"),
    (RECORD, {"event": "recording_failed", "error": "disk full"}, cli.FAILED, ""),
    ("hangup --wait", {"event": "call_ended", "reason": "hang_up"}, cli.OK, ""),
]  # fmt: skip
IDS = {"playback_id": "mine", "gather_id": "mine", "recording_id": "mine"}


class TestWaiting:
    @pytest.fixture
    def waiting(self, server: FakeServer) -> FakeServer:
        for action in ("playback_start", "speak", "send_dtmf", "gather_using_speak", "record_start"):
            server.answers[action] = data(**IDS)
        return server

    @pytest.mark.parametrize(("line", "event", "code", "output"), ENDS)
    def test_the_exit_code_tells(
        self, waiting: FakeServer, line: str, event: dict[str, Any], code: int, output: str
    ) -> None:
        """What is somebody else's, or goes on, ends nothing; the event comes before the action is answered."""
        others = [
            event | IDS | {"call_id": "alpha-1"},
            {"event": "playback_ended", "call_id": "beta-2", "playback_id": "other", "status": "failed"},
            {"event": "recording_saved", "call_id": "beta-2", "recording_id": "other", "path": "/other"},
            {"event": "recording_failed", "call_id": "beta-2", "error": "again", "will_retry": True, **IDS},
            {"event": "dropped", "events": 1},
        ]

        def tell(action: str, body: dict[str, Any]) -> None:
            assert waiting.subscribed
            for one in (*others, event | IDS | {"call_id": "beta-2"}):
                waiting.events.put(one)

        waiting.when_acted = tell
        result = run(waiting, "beta-2", *line.split())
        assert (result.exit_code, result.stdout) == (code, output), result.stderr
        assert waiting.subscribed[0]["calls"] == ["beta-2"]

    def test_a_recording_is_closed_behind_the_call(self, waiting: FakeServer) -> None:
        def tell(action: str, body: dict[str, Any]) -> None:
            waiting.events.put({"event": "call_ended", "call_id": "beta-2", "reason": "stop"})
            waiting.events.put({"event": "recording_saved", "call_id": "beta-2", "path": "/r/a.wav", **IDS})

        waiting.when_acted = tell
        assert run(waiting, "any", "record", "start", "--wait").stdout == "/r/a.wav\n"

    def test_the_server_stops(self, waiting: FakeServer) -> None:
        waiting.when_acted = lambda action, body: waiting.events.put(None)
        result = run(waiting, "any", *PLAY.split())
        assert (result.exit_code, result.stdout) == (cli.FAILED, "")
        assert "the server has stopped" in result.stderr

    def test_json_is_the_answer_and_the_event(self, waiting: FakeServer) -> None:
        event = {"event": "playback_ended", "call_id": "beta-2", "playback_id": "mine", "status": "completed"}
        waiting.when_acted = lambda action, body: waiting.events.put(event)
        lines = run(waiting, "any", *PLAY.split(), "--json").stdout.splitlines()
        assert list(map(json.loads, lines)) == [{"result": "ok", **IDS}, event]

    @pytest.mark.parametrize(
        ("line", "stop", "body"),
        [(PLAY, "playback_stop", {"playback_id": "mine"}), (GATHER, "gather_stop", {}),
         (RECORD, "record_stop", {"recording_id": "mine"})],
    )  # fmt: skip
    def test_who_is_interrupted_stops_it(
        self, waiting: FakeServer, line: str, stop: str, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from media.terminal import errand

        def interrupted(*_: Any) -> int:
            raise KeyboardInterrupt

        monkeypatch.setattr(errand.Errand, "_wait", interrupted)
        result = run(waiting, "any", *line.split(), "--command-id", "once")
        assert result.exit_code == cli.FAILED, "click's, for a caller of the group; main() makes 130 of it"
        assert [acted[1] for acted in waiting.acted][1:] == [stop]
        stopped = dict(waiting.acted[1][2])
        assert stopped.pop("command_id") != "once"
        assert stopped == body


@pytest.mark.realtime
async def test_a_real_server(tmp_path: Path) -> None:
    """One call is shown, and what it cannot do is a line and an exit code."""
    async with recording_server(tmp_path) as (server, url):
        opened = server.engine.open_call("call 1", "ws", {}, server.engine.now_ns()).info.call_id
        shown = await asyncio.to_thread(process, "call", "any", "--url", url)
        refused = await asyncio.to_thread(process, "call", opened[:5], "dtmf", "1", "--url", url)
        nobody = await asyncio.to_thread(process, "call", "nobody", "hangup", "--url", url)
    assert (shown.returncode, shown.stdout.splitlines()[0]) == (cli.OK, f"{opened}  live 0:00")
    assert "idle sinks" in shown.stdout
    assert (refused.returncode, refused.stdout) == (cli.FAILED, "")
    assert nobody.returncode == NO_SUCH_CALL


class TestShowing:
    def test_for_people(self, server: FakeServer) -> None:
        result = run(server, "beta-2")
        assert (result.exit_code, result.output.splitlines()[0]) == (cli.OK, "beta-2  live 0:01")

    def test_as_json(self, server: FakeServer) -> None:
        assert json.loads(run(server, "beta-2", "--json").output) == server.calls[1]
        assert json.loads(run(server, "--json", "beta-2").output) == server.calls[1]
