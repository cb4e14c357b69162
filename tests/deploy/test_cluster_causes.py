"""Each alert of a cluster, fired by making its cause: a node that goes, a log that is filled, servers of it
that end. Time alone is made short, as in `test_causes.py`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from clusters import NODES, LocalCluster, nats_server
from conftest import DEPLOY, Server, read_yaml
from test_causes import OF_A_CLUSTER, SCRAPE, quick_rules
from test_prometheus import Prometheus
from waiting import until

#: What the log may hold: the least that it takes, and soon full.
LOG_BYTES = 16 * 1024 * 1024


def unasked(folder: Path) -> Server:
    """A node that finds nobody who would say that the log is on disks, nor the log."""
    folder.mkdir()
    nothing = folder / "recant.toml"
    nothing.touch()
    nobody = "127.0.0.1:9"
    settings = {
        "ROLE": "candidate",
        "NODE": "d",
        "NATS_URL": f"nats://{nobody}",
        "MONITOR_URLS": f"http://{nobody}",
    }
    return Server(folder, nothing, {f"RECANT__CLUSTER__{key}": settings[key] for key in settings})


def fitted(folder: Path, addresses: list[str]) -> Path:
    """The configuration of `deploy/`, with the quick rules and these nodes."""
    (folder / "rules.yaml").write_text(yaml.safe_dump(quick_rules()))
    configuration = read_yaml(DEPLOY / "prometheus/prometheus.yaml")
    configuration["global"] |= {
        "scrape_interval": SCRAPE,
        "scrape_timeout": SCRAPE,
        "evaluation_interval": SCRAPE,
    }
    scrape = configuration["scrape_configs"][0]
    scrape["static_configs"] = [{"targets": addresses}]
    del scrape["authorization"]
    configuration["scrape_configs"] = [scrape]
    path = folder / "prometheus.yaml"
    path.write_text(yaml.safe_dump(configuration))
    return path


class Scene:
    """A cluster, and the Prometheus that watches it."""

    def __init__(self, folder: Path, program: str) -> None:
        self.folder = folder
        settings = {"RECANT__CLUSTER__LOG_BYTES_MAX": str(LOG_BYTES)}
        self.cluster = LocalCluster(folder, program, settings)
        self.nodes = [self.cluster.address(node) for node in NODES]
        self.prometheus = Prometheus(folder, fitted(folder, self.nodes))
        self.unasked: Server | None = None
        #: What fired before anything happened.
        self.first: set[str] = set()

    def fired(self) -> set[str]:
        """All alerts of a cluster that fired."""
        alerts = 'ALERTS{alertname=~"RecantCluster.*",alertstate="firing"}'
        samples = self.prometheus.ask("query", query=f"count_over_time({alerts}[30m])")["result"]
        return {sample["metric"]["alertname"] for sample in samples}

    def await_firing(self, *names: str) -> None:
        """Waits until these have fired."""
        for name in names:
            until(lambda name=name: name in self.fired(), name, 150)

    def fill_the_log(self) -> None:
        """Adds until there is no room; a node that is away keeps the log from being trimmed."""
        more = [{"user": f"u{n % 40}", "item": f"i{n % 30}"} for n in range(5000)]

        def is_noticed() -> bool:
            self.cluster.ask("b", "/interactions", "POST", {"interactions": more})
            return "RecantClusterLogFull" in self.fired()

        until(is_noticed, "a log that is full", 200)

    def play(self) -> None:
        """Everything that happens, in turn."""
        ready = 'count(up{job="recant"} == 1)'
        until(lambda: self.prometheus.value(ready) == len(NODES), "a scrape of all nodes")
        until(lambda: self.prometheus.value("count(recant_cluster_role)") > 0, "a role")
        self.first = self.fired()
        self.cluster.end_for_good("c")
        assert self.cluster.ask("b", "/interactions?user=u7", "DELETE")[0] == 202
        self.await_firing("RecantClusterNodeMissing", "RecantClusterOwing")
        self.fill_the_log()
        for name in ("nats1", "nats2", "nats3"):
            self.cluster.end_for_good(name)
        self.await_firing("RecantClusterLogSilent", "RecantClusterNoLeader")
        self.unasked = unasked(self.folder / "unasked")
        fitted(self.folder, [*self.nodes, self.unasked.address])
        self.prometheus.read_again()
        self.await_firing("RecantClusterLogNotSynced")

    def end(self) -> None:
        """Ends everything."""
        try:
            self.prometheus.stop()
        finally:
            self.cluster.stop()
            if self.unasked:
                self.unasked.stop()


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The scene after everything has happened."""
    program = nats_server()
    if program is None:
        pytest.skip("there is no nats-server 2.14 or later")
    if not shutil.which("prometheus"):
        pytest.skip("prometheus is not installed (Debian: prometheus)")
    scene = Scene(tmp_path_factory.mktemp("cluster-causes"), program)
    try:
        scene.play()
        yield scene
    finally:
        scene.end()


def test_nothing_fires_before_anything_happens(played: Scene) -> None:
    assert played.first == set()


def test_each_alert_fires_by_its_cause(played: Scene) -> None:
    assert set(OF_A_CLUSTER) <= played.fired()
