"""`media.settings`: flags, variables and a file become one configuration, or one clear error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from media.config import Endpoint, LogConfig, RtpPorts, ServerConfig
from media.settings import Settings, load
from strep.errors import ConfigurationError

UDP = {"udp": ":9000"}


def rtp(name: str, rx: int, tx: int) -> RtpPorts:
    return RtpPorts(name, Endpoint("127.0.0.1", rx), Endpoint("127.0.0.1", tx))


def load_file(directory: Path, text: str, **flags: Any) -> Settings:
    path = directory / "strep.toml"
    path.write_text(text, encoding="utf-8")
    return load(flags, {}, path)


class TestPlaces:
    """The same option from each place, and which one wins."""

    def test_defaults(self) -> None:
        settings = load(UDP, {})
        assert settings == Settings(ServerConfig(udp=Endpoint("127.0.0.1", 9000)), LogConfig())

    def test_flags_before_variables_before_file(self, tmp_path: Path) -> None:
        path = tmp_path / "strep.toml"
        path.write_text('udp = ":1"\nws = ":1"\nidle_timeout = "1s"\nmax_tracks = 1', encoding="utf-8")
        environment = {"STREP_UDP": ":2", "STREP_WS": ":2", "STREP_IDLE_TIMEOUT": "2s"}
        server = load({"udp": ":3"}, environment, path).server
        assert server.udp == Endpoint("127.0.0.1", 3)
        assert server.ws == Endpoint("127.0.0.1", 2)
        assert server.idle_timeout_s == 2
        assert server.max_tracks == 1

    def test_file_named_by_a_variable(self, tmp_path: Path) -> None:
        path = tmp_path / "strep.toml"
        path.write_text('udp = ":1"', encoding="utf-8")
        assert load({}, {"STREP_CONFIG": str(path)}).server.udp == Endpoint("127.0.0.1", 1)

    def test_flag_names_another_file_than_the_variable(self, tmp_path: Path) -> None:
        path = tmp_path / "strep.toml"
        path.write_text('udp = ":1"', encoding="utf-8")
        assert load({}, {"STREP_CONFIG": "/nowhere"}, path).server.udp == Endpoint("127.0.0.1", 1)

    def test_logging(self) -> None:
        assert load(UDP, {"STREP_LOG_FORMAT": "json", "STREP_LOG_LEVEL": "Debug"}).log == LogConfig("json", "debug")


class TestRepeated:
    def test_flag_given_twice(self) -> None:
        assert load({"rtp": ("a=1,2", "b=3,4")}, {}).server.rtp == (rtp("a", 1, 2), rtp("b", 3, 4))

    @pytest.mark.parametrize("text", ["a=1,2;b=3,4", " a=1,2 ; b=3,4 ;"])
    def test_variable_with_semicolons(self, text: str) -> None:
        assert load({}, {"STREP_RTP": text}).server.rtp == (rtp("a", 1, 2), rtp("b", 3, 4))

    def test_list_in_a_file(self, tmp_path: Path) -> None:
        assert load_file(tmp_path, 'rtp = ["a=1,2", "b=3,4"]').server.rtp == (rtp("a", 1, 2), rtp("b", 3, 4))

    def test_text_in_a_file(self, tmp_path: Path) -> None:
        assert load_file(tmp_path, 'rtp = "a=1,2"').server.rtp == (rtp("a", 1, 2),)

    def test_a_stronger_place_replaces_all(self) -> None:
        assert load({"rtp": ("c=5,6",)}, {"STREP_RTP": "a=1,2;b=3,4"}).server.rtp == (rtp("c", 5, 6),)


class TestFile:
    @pytest.mark.parametrize("heading", ["", "[serve]\n", "[other]\nx = 1\n[serve]\n"])
    def test_top_level_or_table(self, tmp_path: Path, heading: str) -> None:
        text = heading + 'udp = "127.0.0.1:9000"\nidle_timeout = 12.5\nreceive_buffer = 65536\nmax_tracks = 10'
        server = load_file(tmp_path, text).server
        assert (server.idle_timeout_s, server.receive_buffer_bytes, server.max_tracks) == (12.5, 65_536, 10)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("udp = ':9000", "is not TOML"),
            ("upd = ':9000'", "upd .*strep.toml.* did you mean udp?"),
            ("[serve]\nidle_timeout_s = 3", "did you mean idle_timeout?"),
            ("colour = 3", "no such option; there are udp, rtp"),
            ("[server]\nudp = ':9000'", r"\[server\] .*belong in \[serve\]"),
            ("udp = ':9000'\n[serve]\nws = ':1'", "udp .*outside the table"),
            ("serve = 3", "must be a table"),
            ("udp = true", "udp .*bool"),
            ("udp = ['a', 'b']", "udp .*list"),
            ("rtp = [1979-05-27]", "rtp .*date"),
            ("udp = 9000", r"udp \(file .*'9000' is not HOST:PORT.*For example: udp = \"127.0.0.1:9000\""),
            ("rtp = 'a'", r"For example: rtp = \[\"lab=4000,4001\"\]"),
            ("udp = ':1'\nreorder_wait = 60", r"reorder_wait .*out of range \(1m\)"),
            ("config = 'other.toml'", "config .*no such option"),
        ],
    )
    def test_refused(self, tmp_path: Path, text: str, says: str) -> None:
        with pytest.raises(ConfigurationError, match=says):
            load_file(tmp_path, text)

    def test_missing(self) -> None:
        with pytest.raises(ConfigurationError, match=r"config: cannot read /nowhere/strep\.toml: No such file"):
            load({}, {}, Path("/nowhere/strep.toml"))

    def test_not_text(self, tmp_path: Path) -> None:
        path = tmp_path / "strep.toml"
        path.write_bytes(b"\xff\xfe")
        with pytest.raises(ConfigurationError, match="is not TOML"):
            load({}, {}, path)


class TestVariables:
    @pytest.mark.parametrize(
        ("variable", "meant"),
        [
            ("STREP_UPD", "STREP_UDP"),
            ("STREP_RECIEVE_BUFFER", "STREP_RECEIVE_BUFFER"),
            ("STREP_LOGLEVEL", "STREP_LOG_LEVEL"),
            ("STREP_CONFIG_FILE", "STREP_CONFIG"),
        ],
    )
    def test_misspelt(self, variable: str, meant: str) -> None:
        with pytest.raises(ConfigurationError, match=f"variable {variable}: .*did you mean {meant}?"):
            load(UDP, {variable: "1"})

    def test_strange_is_a_warning(self) -> None:
        assert load(UDP, {"STREP_FUZZ": "long"}).warnings == (
            "variable STREP_FUZZ is no option of this program and is ignored",
        )

    def test_what_kubernetes_sets_is_passed_over(self) -> None:
        environment = {
            "STREP_SERVICE_HOST": "10.0.0.1",
            "STREP_SERVICE_PORT": "9000",
            "STREP_SERVICE_PORT_MEDIA": "9000",
            "STREP_PORT": "udp://10.0.0.1:9000",
            "STREP_PORT_9000_UDP": "udp://10.0.0.1:9000",
            "STREP_PORT_9000_UDP_ADDR": "10.0.0.1",
        }
        assert load(UDP, environment) == load(UDP, {})

    @pytest.mark.parametrize("empty", ["", "  "])
    def test_empty_is_not_given(self, empty: str) -> None:
        assert load(UDP, {"STREP_UDP": empty, "STREP_RTP": empty, "STREP_CONFIG": ""}) == load(UDP, {})

    def test_refused(self) -> None:
        says = r"ws \(variable STREP_WS\): '9001' is not HOST:PORT.*For example: STREP_WS=127\.0\.0\.1:9001"
        with pytest.raises(ConfigurationError, match=says):
            load(UDP, {"STREP_WS": "9001"})

    @pytest.mark.parametrize(
        ("variable", "text"),
        [
            ("STREP_NATS", "nats://user:secret@"),
            ("STREP_NATS", "nats://user:secret"),
            ("STREP_NATS", "nats://user:a,secret@host:4222"),
            ("STREP_WEBHOOK", "https://user:secret@host:99999/"),
            ("STREP_WEBHOOK", "htps://host/?token=secret"),
            ("STREP_DELIVER_TO", "s3://user:secret@bucket"),
        ],
    )
    def test_no_password_is_told(self, variable: str, text: str) -> None:
        with pytest.raises(ConfigurationError, match=f"variable {variable}.: what is given .*For example") as refused:
            load(UDP, {variable: text})
        assert "secret" not in str(refused.value)


class TestFlags:
    @pytest.mark.parametrize(
        ("flags", "says"),
        [
            ({"udp": "9000"}, r"udp \(flag --udp\): '9000' .*For example: --udp 127\.0\.0\.1:9000"),
            ({"idle_timeout": "soon", **UDP}, r"idle_timeout \(flag --idle-timeout\): 'soon' .*--idle-timeout 30s"),
            ({"rtp": ("a=1,2", "b")}, r"rtp \(flag --rtp\): 'b'"),
            ({"receiver": "fast", **UDP}, "receiver .*auto, recvmmsg, asyncio-dgram"),
            ({"record": "", **UDP}, "record .*empty"),
        ],
    )
    def test_refused(self, flags: dict[str, Any], says: str) -> None:
        with pytest.raises(ConfigurationError, match=says):
            load(flags, {})


class TestTogether:
    def test_no_door(self) -> None:
        with pytest.raises(ConfigurationError, match=r"no door: .*udp, rtp and ws.*strep serve --udp"):
            load({"record": "recordings"}, {})

    def test_a_name_twice(self) -> None:
        with pytest.raises(ConfigurationError, match="the name 'a' is given to two"):
            load({"rtp": ("a=1,2", "a=3,4")}, {})

    @pytest.mark.parametrize(
        ("flags", "says"),
        [
            ({"udp": ":1", "rtp": ("a=1,2",)}, "udp and rx of rtp a are both on UDP 127.0.0.1:1"),
            ({"rtp": ("a=5,5",)}, "rx of rtp a and tx of rtp a"),
            ({"rtp": ("a=1,2", "b=3,2")}, "tx of rtp a and tx of rtp b"),
        ],
    )
    def test_a_port_twice(self, flags: dict[str, Any], says: str) -> None:
        with pytest.raises(ConfigurationError, match=says):
            load(flags, {})

    def test_ports_of_the_systems_choice_do_not_clash(self) -> None:
        assert len(load({"udp": ":0", "rtp": ("a=0,0",)}, {}).server.rtp) == 1

    def test_udp_and_tcp_may_share_a_number(self) -> None:
        assert load({"udp": ":9000", "ws": ":9000"}, {}).server.ws == Endpoint("127.0.0.1", 9000)
