"""deploy/: what cannot be run here is what its formats say, and what `strep serve` takes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from media.http.app import OPEN_PATHS
from media.option import PREFIX
from media.options import BY_NAME
from media.server import SINK_STOP_TIMEOUT_S
from media.settings import Settings, load
from strep.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
PEERS = ROOT / ".peers"
KUBERNETES, COMPOSE = DEPLOY / "kubernetes" / "strep.yaml", DEPLOY / "compose" / "compose.yml"
DATA = Path("/data")
"""What an image of ours may write to; see `Dockerfile`."""
EXPOSURE = 15
"""Tenths, of what systemd-analyze security counts; below 20 it says OK, and most of ours is that it has a network."""

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not (PEERS / "kubernetes_validate").exists(), reason="make peers"),
]


def peer(code: str, *arguments: Path) -> str:
    """Run some Python where the peers' packages are; return what it prints."""
    environment = os.environ | {"PYTHONPATH": str(PEERS)}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=300).stdout


@cache
def documents(path: Path) -> list[dict[str, Any]]:
    code = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))"
    made: list[dict[str, Any]] = json.loads(peer(code, path))
    return made


def kubernetes(kind: str, name: str = "") -> dict[str, Any]:
    found = [d for d in documents(KUBERNETES) if d["kind"] == kind and name in ("", d["metadata"]["name"])]
    assert len(found) == 1
    return found[0]


def settings(words: list[str], variables: dict[str, str]) -> Settings:
    """Return what `strep serve` makes of a command line; each option exists."""
    flags: dict[str, Any] = {}
    for flag, value in zip(words[::2], words[1::2], strict=True):
        flags[flag.removeprefix("--").replace("-", "_")] = value
    assert flags.keys() <= BY_NAME.keys()
    assert {name for name in variables if name.startswith(PREFIX)} <= {option.variable for option in BY_NAME.values()}
    given = load(flags, variables)
    assert given.warnings == ()
    return given


def image_environment() -> dict[str, str]:
    text = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    return dict(word.split("=", 1) for word in re.findall(r"\b(STREP_\w+=\S+)", text))


class TestKubernetes:
    @pytest.fixture
    def pod(self) -> dict[str, Any]:
        made: dict[str, Any] = kubernetes("StatefulSet")["spec"]["template"]["spec"]
        return made

    @pytest.fixture
    def server(self, pod: dict[str, Any]) -> dict[str, Any]:
        [container] = pod["containers"]
        return dict(container)

    def test_schema(self) -> None:
        """Strictly: a key that the schema does not know is an error, which the second of them is for."""
        code = (
            "import sys, yaml, kubernetes_validate as kv\n"
            "def check(text):\n"
            "    documents = list(yaml.safe_load_all(text))\n"
            "    for document in documents: kv.validate(document, kv.latest_version(), strict=True)\n"
            "    return len(documents)\n"
            "text = open(sys.argv[1]).read()\n"
            "print(check(text))\n"
            "try: check(text.replace('serviceName:', 'servicename:'))\n"
            "except kv.ValidationError: print('refused')"
        )
        assert peer(code, KUBERNETES).split() == [str(len(documents(KUBERNETES))), "refused"]

    def test_options_and_their_ports(self, server: dict[str, Any]) -> None:
        words = [word for arg in server["args"] for word in arg.split("=", 1)]
        tokens = {variable["name"]: "x" * 32 for variable in server["env"]}
        given = settings(words, image_environment() | tokens)
        assert all("secretKeyRef" in variable["valueFrom"] for variable in server["env"])
        ports = {port["name"]: (port["containerPort"], port.get("protocol", "TCP")) for port in server["ports"]}
        config, processes = given.server, given.processes
        assert config.udp
        assert config.ws
        assert config.http
        assert processes.metrics
        assert ports == {
            "media": (config.udp.port, "UDP"),
            "ws": (config.ws.port, "TCP"),
            "http": (config.http.port, "TCP"),
            "metrics": (processes.metrics.port, "TCP"),
        }
        with pytest.raises(ConfigurationError, match="token"):
            settings(words, image_environment())

    def test_probes_ask_what_is_answered_without_a_token(self, server: dict[str, Any]) -> None:
        for probe, path in (
            ("livenessProbe", "/healthz"),
            ("readinessProbe", "/readyz"),
            ("startupProbe", "/healthz"),
        ):
            assert server[probe]["httpGet"] == {"path": path, "port": "http"}
            assert path in OPEN_PATHS

    def test_there_is_time_to_end(self, pod: dict[str, Any], server: dict[str, Any]) -> None:
        words = [word for arg in server["args"] for word in arg.split("=", 1)]
        drain_s = settings(
            words, {"STREP_HTTP_TOKEN": "x" * 32, "STREP_METRICS_TOKEN": "y" * 32}
        ).server.drain_timeout_s
        [sleep_s] = map(int, re.findall(r"sleep\((\d+)\)", server["lifecycle"]["preStop"]["exec"]["command"][-1]))
        assert pod["terminationGracePeriodSeconds"] >= sleep_s + drain_s + 2 * SINK_STOP_TIMEOUT_S + 60

    def test_it_is_closed(self, pod: dict[str, Any], server: dict[str, Any]) -> None:
        [user] = re.findall(r"^USER (\d+):", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
        assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, int(user))
        assert server["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod["automountServiceAccountToken"] is False
        assert "cpu" not in server["resources"]["limits"]

    def test_directories_are_on_what_is_mounted(self, pod: dict[str, Any], server: dict[str, Any]) -> None:
        mounts = {mount["name"]: Path(mount["mountPath"]) for mount in server["volumeMounts"]}
        claims = {claim["metadata"]["name"] for claim in kubernetes("StatefulSet")["spec"]["volumeClaimTemplates"]}
        assert mounts.keys() == claims | {volume["name"] for volume in pod["volumes"]}
        paths = [Path(arg.partition("=")[2]) for arg in server["args"] if arg.startswith(("--record=", "--state="))]
        assert len(paths) == 2
        assert all(path.is_relative_to(mounts["calls"]) and path.is_relative_to(DATA) for path in paths)

    def test_services_lead_to_the_pod(self, server: dict[str, Any]) -> None:
        labels = kubernetes("StatefulSet")["spec"]["template"]["metadata"]["labels"]
        names = {port["name"]: port.get("protocol", "TCP") for port in server["ports"]}
        for name in ("strep-media", "strep-ws"):
            spec = kubernetes("Service", name)["spec"]
            assert spec["selector"].items() <= labels.items()
            assert all(names[port["targetPort"]] == port.get("protocol", "TCP") for port in spec["ports"])
        media = kubernetes("Service", "strep-media")["spec"]
        assert (media["externalTrafficPolicy"], media["publishNotReadyAddresses"]) == ("Local", True)
        policy = kubernetes("NetworkPolicy")["spec"]
        assert {port["port"] for rule in policy["ingress"] for port in rule["ports"]} == names.keys()

    def test_the_job_has_the_name_that_the_alerts_ask_for(self) -> None:
        """The job label of what the operator scrapes is the Service's label that `jobLabel` names."""
        [monitor] = documents(KUBERNETES.parent / "servicemonitor.yaml")
        job = kubernetes("Service", "strep-ws")["metadata"]["labels"][monitor["spec"]["jobLabel"]]
        rules = (DEPLOY / "prometheus" / "rules.yml").read_text()
        assert set(re.findall(r'job="(.*?)"', rules)) == {job}
        scraped = documents(COMPOSE.parent / "prometheus.yml")[0]["scrape_configs"][0]
        assert scraped["job_name"] == job

    def test_the_monitor_looks_at_a_port_that_is_there(self) -> None:
        [monitor] = documents(KUBERNETES.parent / "servicemonitor.yaml")
        service = kubernetes("Service", "strep-ws")
        assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        assert monitor["spec"]["endpoints"][0]["port"] in [port["name"] for port in service["spec"]["ports"]]


class TestCompose:
    @pytest.fixture
    def services(self) -> dict[str, Any]:
        made: dict[str, Any] = documents(COMPOSE)[0]["services"]
        return made

    def test_schema(self) -> None:
        code = (  # merge keys (<<) are YAML's, and Compose's parser is given what they stand for
            "import json, sys, yaml\n"
            "from compose_spec import PyCompose\n"
            "document = yaml.safe_load(open(sys.argv[1]).read())\n"
            "print(*sorted(PyCompose.from_yaml(json.dumps(document)).service_names()))\n"
            "document['services']['nats']['stop_grace'] = '5s'\n"
            "try: PyCompose.from_yaml(json.dumps(document))\n"
            "except ValueError: print('refused')"
        )
        assert peer(code, COMPOSE).split() == ["grafana", "nats", "prometheus", "strep", "refused"]

    def test_options(self, services: dict[str, Any]) -> None:
        server = services["strep"]
        variables = image_environment() | {
            name: "x" * 32 if value.startswith("${") else value for name, value in server["environment"].items()
        }
        given = settings(server["command"], variables)
        config = given.server
        assert given.processes.metrics
        assert config.udp
        assert config.ws
        [datagrams, streams] = server["ports"]
        assert datagrams == f"{config.udp.port}:{config.udp.port}/udp"
        assert streams.endswith(f":{config.ws.port}:{config.ws.port}")
        for path in (config.record, config.nats.spool):
            assert path is not None
            assert path.is_relative_to(DATA)
        assert int(server["stop_grace_period"].removesuffix("s")) >= config.drain_timeout_s + 2 * SINK_STOP_TIMEOUT_S
        scraped = documents(COMPOSE.parent / "prometheus.yml")[0]["scrape_configs"][0]["static_configs"][0]["targets"]
        assert scraped == [f"strep:{given.processes.metrics.port}"]

    @pytest.mark.parametrize("name", ["strep", "nats", "prometheus", "grafana"])
    def test_each_service_is_closed_and_looked_after(self, name: str, services: dict[str, Any]) -> None:
        service = services[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["healthcheck"]["test"][0] == "CMD"
        public = [port for port in service.get("ports", ()) if not port.startswith("127.0.0.1:")]
        assert public == (["9000:9000/udp"] if name == "strep" else [])

    def test_prometheus_has_the_token_where_it_looks_for_it(self, services: dict[str, Any], tmp_path: Path) -> None:
        service = services["prometheus"]
        scraped = documents(COMPOSE.parent / "prometheus.yml")[0]["scrape_configs"][0]
        place = Path(scraped["authorization"]["credentials_file"])
        assert str(place.parent) in service["tmpfs"]
        assert "secrets" not in service
        shell, option = service["entrypoint"]
        [line] = service["command"]
        assert line.count(f"{place};") == line.count("/bin/prometheus ") == 1
        here = line.replace("$$", "$").replace(str(place), str(tmp_path / "token")).replace("/bin/prometheus", "echo")
        done = subprocess.run(
            [shell, option, here], env={"STREP_METRICS_TOKEN": "a $b"}, check=True, capture_output=True, text=True
        )
        assert done.stdout.split()[0] == "--config.file=/etc/prometheus/prometheus.yml"
        assert (tmp_path / "token").read_text() == "a $b"
        assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600

    def test_what_is_mounted_from_here_is_here(self, services: dict[str, Any]) -> None:
        named = documents(COMPOSE)[0]["volumes"].keys()
        for service in services.values():
            for volume in service.get("volumes", ()):
                source = volume.partition(":")[0]
                if source.startswith("."):
                    assert volume.endswith(":ro")
                    place = (COMPOSE.parent / source).resolve()
                    assert place.exists() or place.parent == DEPLOY, volume
                else:
                    assert source in named

    def test_docker_would_take_it(self) -> None:
        if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
            pytest.skip("no docker compose here")
        variables = {"STREP_WS_TOKEN": "a", "STREP_METRICS_TOKEN": "b", "GRAFANA_PASSWORD": "c"}
        command = ["docker", "compose", "--file", str(COMPOSE), "config", "--quiet"]
        subprocess.run(command, check=True, env=os.environ | variables, timeout=60)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="make peers")
def test_the_unit_is_closed() -> None:
    unit = DEPLOY / "systemd" / "strep.service"
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", f"--threshold={EXPOSURE}", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:]
