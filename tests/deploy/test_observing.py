"""What Prometheus and Grafana are given: metrics, rules and a dashboard that belong together."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from media.alarms.rules import RULES as ALARMS
from media.config import Endpoint
from media.metrics.families import families
from media.metrics.http import serving
from tests.deploy.exposition import described, exposed_names, page_lines, text, totals
from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parent.parent.parent
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "strep.json").read_bytes())
PROMTOOL, PROMETHEUS = which("promtool"), which("prometheus")
METRIC = re.compile(r"\bstrep_\w+")
FEW = {"door", "reason", "status", "code", "sink", "name", "severity", "worker", "place", "engine", "outcome"} | {
    "recordings", "of", "version", "directory",
}  # fmt: skip


def promtool(*arguments: str, given: str = "") -> str:
    """Return what it says; it has found nothing to object to."""
    assert PROMTOOL is not None
    command = [PROMTOOL, *arguments]
    done = subprocess.run(command, check=False, input=given, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def expressions() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]


class TestMetrics:
    def test_labels_are_few_and_never_of_calls(self) -> None:
        for family in described():
            assert set(getattr(family, "_labelnames", ())) <= FEW, family.name

    def test_each_is_there_once_and_has_its_unit(self) -> None:
        names = [family.name for family in described()]
        assert len(names) == len(set(names))
        assert not [name for name in names if re.search(r"_(ms|ns|milliseconds|kib|mib|percent)(_|$)", name)]

    @pytest.mark.peer
    @pytest.mark.skipif(PROMTOOL is None, reason="no promtool here: make peers")
    def test_promtool_has_nothing_to_object_to(self) -> None:
        assert promtool("check", "metrics", given=text()).strip() == ""

    def test_the_page_has_all_of_them(self) -> None:
        page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
        [made] = re.findall(r"<!-- made from the code[^>]*-->\n(.*?)<!-- end -->", page, re.DOTALL)
        assert made == "\n".join(page_lines()) + "\n"


class TestRules:
    def test_what_they_name_is_there(self) -> None:
        content = RULES.read_text(encoding="utf-8")
        assert set(METRIC.findall(content)) <= exposed_names()
        named = set(re.findall(r'name!?="(\w+)"', content))
        assert named <= {alarm.name for alarm in ALARMS}

    @pytest.mark.peer
    @pytest.mark.skipif(PROMTOOL is None, reason="no promtool here: make peers")
    def test_they_fire_for_what_they_are_about(self, tmp_path: Path) -> None:
        alerts = re.findall(r"alert: (\w+)", RULES.read_text(encoding="utf-8"))
        assert f"{len(alerts)} rules found" in promtool("check", "rules", str(RULES))
        tests = (Path(__file__).parent / "prometheus_rules.yml").read_text(encoding="utf-8")
        assert all(tests.count(alert) >= 2 for alert in alerts)
        (tmp_path / "tests.yml").write_text(tests.replace("[RULES]", f"[{RULES}]"))
        promtool("test", "rules", str(tmp_path / "tests.yml"))


@contextlib.contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """Run one that scrapes `target` every second; yield its URL."""
    assert PROMETHEUS is not None
    scrape = {"job_name": "strep", "scrape_interval": "1s", "static_configs": [{"targets": [target]}]}
    (folder / "prometheus.yml").write_text(json.dumps({"rule_files": [str(RULES)], "scrape_configs": [scrape]}))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = [f"--web.listen-address=127.0.0.1:{port}", "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([PROMETHEUS, *arguments], cwd=folder, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def series(url: str, expression: str) -> list[Any]:
    """Return the series of an expression; none while Prometheus does not answer yet."""
    query = urllib.parse.urlencode({"query": expression})
    try:
        with urllib.request.urlopen(f"{url}/api/v1/query?{query}", timeout=PATIENCE_S) as answer:
            found: list[Any] = json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as error:
        if error.code == 400:
            pytest.fail(f"{expression}: {error.read().decode()}")
        return []
    except OSError:
        return []
    return found


class TestDashboard:
    def test_what_it_names_is_there(self) -> None:
        assert {name for one in expressions() for name in METRIC.findall(one)} <= exposed_names()

    def test_panels_do_not_overlap(self) -> None:
        places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
        assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)
        for one, other in itertools.combinations(places, 2):
            beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]

    @pytest.mark.peer
    @pytest.mark.realtime
    @pytest.mark.skipif(PROMETHEUS is None, reason="no prometheus here: make peers")
    def test_every_panel_shows_something(self, tmp_path: Path) -> None:
        """Of a server with all there is, of which one more call has ended at each scrape."""
        scrapes = itertools.count(1)
        with (
            serving(Endpoint("127.0.0.1", 0), lambda: families(totals(next(scrapes)))) as where,
            prometheus(tmp_path, str(where)) as url,
        ):
            asked = [one.replace("$__rate_interval", "1m").replace("$instance", ".*") for one in expressions()]
            deadline = time.monotonic() + PATIENCE_S
            while asked := [one for one in asked if not series(url, one)]:
                assert time.monotonic() < deadline, f"these show nothing: {asked}"
                time.sleep(0.2)
