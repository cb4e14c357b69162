"""A Prometheus, configured as in `deploy/`, that scrapes a server: the target is up, the rules are
evaluated, and the queries of the dashboard have answers."""

from __future__ import annotations

import json
import math
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusters import NODES, LocalCluster
from conftest import Server, cluster_metrics, command, metrics_in, read_yaml
from test_dashboard import targets
from waiting import until

#: How often is scraped here, so that nobody waits long.
INTERVAL = "500ms"


class Prometheus:
    """A process that scrapes."""

    def __init__(self, folder: Path, configuration: Path) -> None:
        log = folder / "prometheus.log"
        with log.open("w") as file:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={configuration}",
                    f"--storage.tsdb.path={folder / 'tsdb'}",
                    "--web.listen-address=127.0.0.1:0",
                ],
                stdout=file,
                stderr=file,
            )
        self._log = log
        until(lambda: self._address() is not None or self._process.poll() is not None)
        assert self._process.poll() is None, log.read_text()
        self.url = f"http://{self._address()}"
        until(self._is_ready, "a Prometheus that is ready")

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=30) as answer:
                return answer.status == 200
        except urllib.error.HTTPError:
            return False

    def _address(self) -> str | None:
        # The first line says what it was told to listen on, a later one what it has.
        found = re.findall(r"address=(127\.0\.0\.1:[1-9]\d*)", self._log.read_text())
        return found[0] if found else None

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer."""
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=30) as answer:
            body = json.load(answer)
        assert body["status"] == "success" and not body.get("warnings"), body
        return body["data"]

    def value(self, expression: str) -> float:
        """The value of an expression that has at most one sample; 0 without any."""
        samples = self.ask("query", query=expression)["result"]
        return float(samples[0]["value"][1]) if samples else 0.0

    def read_again(self) -> None:
        """Has it read its configuration again."""
        self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """Ends the process and waits for its end."""
        self._process.terminate()
        self._process.wait(timeout=60)


def fitted(deploy: Path, addresses: list[str]) -> Path:
    """The configuration with the names of this machine in place of those of containers."""
    path = deploy / "prometheus/prometheus.yaml"
    configuration = read_yaml(path)
    configuration["global"] |= {
        "scrape_interval": INTERVAL,
        "scrape_timeout": INTERVAL,
        "evaluation_interval": INTERVAL,
    }
    scrape = configuration["scrape_configs"][0]
    assert scrape["static_configs"] == [{"targets": ["recant:8080"]}]
    scrape["static_configs"] = [{"targets": addresses}]
    scrape["authorization"]["credentials_file"] = str(deploy / "secrets/prometheus.key")
    configuration["scrape_configs"] = [scrape]
    path.write_text(yaml.safe_dump(configuration))
    return path


def use(server: Server, deploy: Path) -> None:
    """Asks for everything that leaves a trace in the metrics."""
    key = (deploy / "secrets/operator.key").read_text()
    event = json.dumps({"user": "u1", "item": "i29"})
    assert server.ask("/interactions", key, "POST", f'{{"interactions":[{event}]}}')[0] == 202
    status, erasure = server.ask("/interactions?user=u3", key, "DELETE")
    assert status == 202
    path = f"/erasures/{json.loads(erasure)['id']}"
    until(lambda: '"status":"certified"' in server.ask(path, key)[1], "a certificate")
    assert server.ask("/recommend?user=u7", key)[0] == 200
    assert server.ask("/recommend?k=nothing", key)[0] == 400
    command(["compact", "--data-dir", server.data], server)


@pytest.fixture(scope="module")
def prometheus(
    deploy: Path,
    server: Server,
    cluster: LocalCluster | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Prometheus]:
    """A Prometheus that has seen a server, and a cluster if there is one, before and after their use."""
    if not shutil.which("prometheus"):
        pytest.skip("prometheus is not installed (Debian: prometheus)")
    nodes = [cluster.address(node) for node in NODES] if cluster else []
    configuration = fitted(deploy, [server.address, *nodes])
    prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"), configuration)
    try:
        up = 'count(up{job="recant"} == 1)'
        until(lambda: prometheus.value(up) == 1 + len(nodes), "a first scrape")
        # The first refusal has no series before it.
        key = (deploy / "secrets/operator.key").read_text()
        assert server.ask("/recommend?k=nothing", key)[0] == 400
        refused = 'sum(recant_http_requests_total{status="400"})'
        until(lambda: prometheus.value(refused) > 0, "a second scrape")
        use(server, deploy)
        if cluster:
            assert cluster.ask("b", "/interactions?user=u9", "DELETE")[0] == 202
            entries = "min(recant_cluster_group_requests_count)"
            before = prometheus.value(entries)
            until(lambda: prometheus.value(entries) > before, "a scrape of what nodes applied")
        compacted = "sum(recant_compaction_duration_seconds_count)"
        until(lambda: prometheus.value(compacted) > 0, "a scrape after that")
        yield prometheus
    finally:
        prometheus.stop()


def test_the_server_is_scraped_with_the_key_that_the_script_made(prometheus: Prometheus) -> None:
    for target in prometheus.ask("targets")["activeTargets"]:
        assert target["health"] == "up" and target["lastError"] == ""
        assert target["labels"]["job"] == "recant"


def test_the_rules_are_evaluated_and_do_not_fire(prometheus: Prometheus) -> None:
    def rules() -> list[dict[str, Any]]:
        groups = prometheus.ask("rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    until(lambda: all(rule["health"] != "unknown" for rule in rules()), "an evaluation")
    assert [rule["name"] for rule in rules() if rule["health"] != "ok"] == []
    assert [rule["name"] for rule in rules() if rule["state"] != "inactive"] == []


@pytest.mark.parametrize(("title", "expression"), targets())
def test_each_query_of_the_dashboard_has_an_answer(
    title: str, expression: str, prometheus: Prometheus, cluster: LocalCluster | None
) -> None:
    if cluster is None and metrics_in(expression) <= cluster_metrics():
        pytest.skip("there is no nats-server, so no cluster")
    for variable, value in (("$job", ".+"), ("$instance", ".+"), ("$__rate_interval", "5m")):
        expression = expression.replace(variable, value)
    samples = prometheus.ask("query", query=expression)["result"]
    values = [float(sample["value"][1]) for sample in samples]
    assert any(math.isfinite(value) for value in values), f"{title}: {expression}: {values}"
