"""Who is let in: by token, or from this machine and no web page."""

from __future__ import annotations

import sys

import pytest

from media.config import Endpoint, ServerConfig
from media.http.access import Access, check_access, host_of, is_loopback
from media.server import Server
from media.settings import load
from strep.errors import ConfigurationError

TOKEN = "a-long-random-wörd"
ENCODED = "YS1sb25nLXJhbmRvbS13w7ZyZA"
HERE = {"Host": "127.0.0.1:9080"}


class TestWithAToken:
    @pytest.mark.parametrize("given", [f"Bearer {TOKEN}", f"bearer {TOKEN}"])
    def test_who_knows_it(self, given: str) -> None:
        assert Access(TOKEN).denial({"Host": "calls.example", "Authorization": given}) is None

    @pytest.mark.parametrize(
        "given", ["", TOKEN, f"Basic {TOKEN}", "Bearer", "Bearer ", "Bearer wrong", f"Bearer {TOKEN} "]
    )
    def test_who_does_not(self, given: str) -> None:
        denial = Access(TOKEN).denial(HERE | {"Authorization": given})
        assert denial is not None
        assert (denial.status, denial.code) == (401, "unauthorized")

    @pytest.mark.parametrize(
        ("upgrade", "offered", "is_in"),
        [
            ("websocket", f"strep.v1, strep.bearer.{ENCODED}", True),
            ("WebSocket", f"strep.bearer.{ENCODED}", True),
            ("", f"strep.bearer.{ENCODED}", False),
            ("websocket", f"strep.bearer.{ENCODED}=", False),
            ("websocket", "strep.bearer.", False),
            ("websocket", f"strep.bearer.{TOKEN}", False),
            ("websocket", ENCODED, False),
            ("websocket", "", False),
        ],
    )
    def test_a_browser_that_opens_a_websocket(self, upgrade: str, offered: str, is_in: bool) -> None:
        headers = HERE | {"Upgrade": upgrade, "Sec-WebSocket-Protocol": offered}
        assert (Access(TOKEN).denial(headers) is None) is is_in

    def test_nobody_sees_it(self) -> None:
        assert TOKEN not in repr(Access(TOKEN))
        assert TOKEN not in repr(ServerConfig(http_token=TOKEN))


class TestWithout:
    @pytest.mark.parametrize("host", ["127.0.0.1:9080", "localhost:9080", "[::1]:9080", "127.1.2.3", "LOCALHOST"])
    def test_this_machine(self, host: str) -> None:
        assert Access().denial({"Host": host}) is None
        assert Access().denial({"Host": host, "Origin": f"http://{host}"}) is None

    @pytest.mark.parametrize("host", ["evil.example:9080", "192.0.2.1", "", "127.0.0.1.evil.example", "[::2]:80"])
    def test_a_name_that_was_pointed_here(self, host: str) -> None:
        denial = Access().denial({"Host": host})
        assert denial is not None
        assert (denial.status, denial.code) == (403, "host")

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:8000", ""])
    def test_a_web_page(self, origin: str) -> None:
        denial = Access().denial(HERE | {"Origin": origin})
        assert denial is not None
        assert (denial.status, denial.code) == (403, "origin")

    @pytest.mark.parametrize(
        ("site", "is_in"), [("same-origin", True), ("none", True), ("same-site", False), ("cross-site", False)]
    )
    def test_what_another_page_has_its_browser_fetch(self, site: str, is_in: bool) -> None:
        """Pictures and forms name no origin, but the browser says whose they are."""
        assert (Access().denial(HERE | {"Sec-Fetch-Site": site}) is None) is is_in


class TestConfiguration:
    @pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
    def test_loopback_needs_no_token(self, host: str) -> None:
        check_access(Endpoint(host, 9080), "")

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "calls.example"])
    def test_others_do(self, host: str) -> None:
        check_access(Endpoint(host, 9080), TOKEN)
        with pytest.raises(ConfigurationError, match="STREP_HTTP_TOKEN"):
            check_access(Endpoint(host, 9080), "")


class TestServe:
    """What `strep serve` refuses, and why."""

    def test_another_machine_without_a_token(self) -> None:
        given = {"udp": ":9000", "http": "0.0.0.0:9080"}
        with pytest.raises(ConfigurationError, match="hears all calls"):
            load(given, {})
        found = load(given, {"STREP_HTTP_TOKEN": TOKEN}).server
        assert (found.http, found.http_token) == (Endpoint("0.0.0.0", 9080), TOKEN)

    def test_metrics_for_others_without_a_token(self) -> None:
        given = {"udp": ":9000", "metrics": "0.0.0.0:9100"}
        with pytest.raises(ConfigurationError, match="STREP_METRICS_TOKEN"):
            load(given, {})
        assert load(given, {"STREP_METRICS_TOKEN": TOKEN}).processes.metrics_token == TOKEN

    def test_legs_that_nobody_could_announce(self) -> None:
        given = {"udp": ":9000", "udp_legs": "registered"}
        with pytest.raises(ConfigurationError, match="nobody could announce a leg"):
            load(given, {})
        assert load(given | {"http": ":9080", "workers": "2"}, {}).server.udp_legs == "registered"
        with pytest.raises(ConfigurationError, match="webhooks come to the HTTP door"):
            load({"udp": ":9000", "telnyx_public_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}, {})
        with pytest.raises(ConfigurationError, match="32 bytes in base64"):
            load({"udp": ":9000", "http": ":9080", "telnyx_public_key": "secret"}, {})

    def test_two_doors_in_one_place(self) -> None:
        with pytest.raises(ConfigurationError, match="one of them must move"):
            load({"ws": ":9080", "http": ":9080"}, {})

    def test_without_aiohttp(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "aiohttp.web", None)
        with pytest.raises(ConfigurationError, match=r"install '/path/to/strep\[http\]'"):
            Server(ServerConfig(ws=Endpoint("127.0.0.1", 0), http=Endpoint("127.0.0.1", 0)))


def test_hosts() -> None:
    assert [host_of(text) for text in ("a", "a:1", "[::1]", "[::1]:1")] == ["a", "a", "::1", "::1"]
    assert not is_loopback("127.0.0.1.")
