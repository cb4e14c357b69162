"""What the checks of `deploy/` share: the program's metrics and settings, and a server that runs on a copy
of `deploy/` as `deploy/new-secrets` completes it, from the binary that `RECANT_BINARY` names."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusters import LocalCluster, nats_server
from waiting import until

ROOT = Path(os.environ.get("RECANT_ROOT", Path(__file__).parents[2]))
DEPLOY = ROOT / "deploy"
#: What a line of `declare_metrics!` says first.
DECLARED = re.compile(r'^\s+[A-Z_]+ = "(recant_\w+)", (Counter|Gauge|Histogram)', re.MULTILINE)
#: A name of one of the program's metrics in an expression or a text.
METRIC = re.compile(r"\b(?:recant|process)_[a-z_]+\b")


def read_yaml(path: Path) -> Any:
    """The one document of a file."""
    return yaml.safe_load(path.read_text())


def declared_metrics() -> dict[str, str]:
    """Every metric of the source, with its kind."""
    sources = (ROOT / "crates").glob("*/src/**/metric_names.rs")
    return {name: kind for path in sources for name, kind in DECLARED.findall(path.read_text())}


def cluster_metrics() -> set[str]:
    """Those of a node among several, which a single server has not."""
    path = ROOT / "crates/replication/src/metric_names.rs"
    return {name for name, _ in DECLARED.findall(path.read_text())}


def metrics_in(expression: str) -> set[str]:
    """The metrics that an expression of PromQL names; of a histogram the name without its suffix."""
    histograms = {name for name, kind in declared_metrics().items() if kind == "Histogram"}
    without_texts = re.sub(r'"[^"]*"', "", expression)

    def metric(name: str) -> str:
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        return base if base in histograms else name

    return {metric(name) for name in METRIC.findall(without_texts)}


def settings() -> set[str]:
    """Every setting as `section.key`, and every section."""
    sections = tomllib.loads((ROOT / "config/default.toml").read_text())
    keys = {f"{section}.{key}" for section, keys in sections.items() for key in keys}
    return keys | set(sections)


def setting_of(variable: str) -> str | None:
    """The setting that a variable of the environment sets, if it is to set one."""
    if not variable.startswith("RECANT__"):
        return None
    return ".".join(variable.removeprefix("RECANT__").lower().split("__"))


def version() -> str:
    """The version of the program."""
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]


class Server:
    """A process that serves, behind TLS where its environment says so."""

    def __init__(
        self,
        folder: Path,
        configuration: Path,
        environment: Mapping[str, str],
        listen: str = "127.0.0.1:0",
        inside: Sequence[str] = (),
    ) -> None:
        """`inside` is a program, with its arguments, that starts the server's command in turn."""
        self.folder = folder
        certificate = environment.get("RECANT__SERVER__TLS_CERTIFICATE")
        self._trust = ssl.create_default_context(cafile=certificate) if certificate else None
        self.data = folder / "store"
        variables = {
            name: value for name, value in os.environ.items() if not name.startswith("RECANT__")
        }
        variables |= environment
        variables |= {
            "RECANT__SERVER__LISTEN": listen,
            "RECANT__STORE__DATA_DIR": str(self.data),
        }
        self.environment = variables
        with (folder / "log").open("w") as log:
            self._process = subprocess.Popen(
                [*inside, os.environ["RECANT_BINARY"], "serve", "--config", configuration],
                cwd=folder,
                env=variables,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := re.search(r"listens on (https?://(\S+))", line):
                self.url, self.address = found.groups()
                break
        else:
            raise AssertionError(f"the server did not start: {(folder / 'log').read_text()}")

    def ask(
        self, path: str, key: str = "", method: str = "GET", body: str | None = None
    ) -> tuple[int, str]:
        """Status and text of an answer."""
        headers = {"Content-Type": "application/json"} if body else {}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(
            f"{self.url}{path}",
            headers=headers,
            method=method,
            data=body.encode() if body else None,
        )
        try:
            with urllib.request.urlopen(request, timeout=60, context=self._trust) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        return self._process.pid

    def tell(self, line: str) -> None:
        """Writes a line to what the server runs inside of."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def until_ready(self) -> None:
        """Waits until requests are answered."""
        until(lambda: self.ask("/readyz")[0] == 200, "a server that is ready")

    def stop(self) -> None:
        """Ends the process and waits for its end."""
        self._process.terminate()
        self._process.communicate(timeout=60)


@pytest.fixture(scope="session")
def deploy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `deploy/` with the secrets that its script makes."""
    copy = tmp_path_factory.mktemp("operator") / "deploy"
    shutil.copytree(
        DEPLOY, copy, ignore=shutil.ignore_patterns("secrets", "cluster-secrets"), symlinks=True
    )
    subprocess.run([copy / "new-secrets"], check=True)
    subprocess.run([copy / "new-cluster-secrets"], check=True)
    return copy


def command(arguments: list[str | Path], server: Server) -> None:
    """Runs a command of the program in the surroundings of a server."""
    program: list[str | Path] = [os.environ["RECANT_BINARY"]]
    subprocess.run(program + arguments, env=server.environment, check=True, capture_output=True)


@pytest.fixture(scope="session")
def server(deploy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server as the compose file configures it and with a webhook, with the data of forty people."""
    folder = tmp_path_factory.mktemp("server")
    lines = (deploy / "secrets/master.env").read_text().splitlines()
    master = dict(line.split("=", 1) for line in lines)
    service = read_yaml(deploy / "compose.yaml")["services"]["recant"]
    rows = [f"u{u},i{(u * 7 + i * i) % 30}" for u in range(40) for i in range(10)]
    (folder / "rows.csv").write_text("user_id,item_id\n" + "\n".join(rows) + "\n")
    # Metrics of webhooks are by endpoint. At this one there is nobody.
    endpoint = 'name = "nobody"\nurl = "http://127.0.0.1:9/"\nallow_internal = true\n'
    configuration = folder / "recant.toml"
    compose = (deploy / "secrets/recant.toml").read_text()
    configuration.write_text(f"{compose}\n[[webhooks]]\n{endpoint}")
    environment = dict(service["environment"]) | master
    binary, store = os.environ["RECANT_BINARY"], folder / "store"
    subprocess.run(
        [binary, "import", "--config", configuration, "--data-dir", store, folder / "rows.csv"],
        env=dict(os.environ) | environment,
        check=True,
        capture_output=True,
    )
    server = Server(folder, configuration, environment)
    try:
        server.until_ready()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster | None]:
    """A cluster; none where there is no nats-server."""
    program = nats_server()
    if program is None:
        yield None
        return
    cluster = LocalCluster(tmp_path_factory.mktemp("local"), program, {})
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def shown_metrics(server: Server, deploy: Path, cluster: LocalCluster | None) -> set[str]:
    """The metrics of the source, which the server and a node that leads announce."""
    status, text = server.ask("/metrics", (deploy / "secrets/prometheus.key").read_text())
    assert status == 200
    shown = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    assert set(declared_metrics()) - cluster_metrics() <= shown
    assert not cluster_metrics() & shown, "a single server has no metrics of a cluster"
    if cluster is None:
        return shown | cluster_metrics()
    status, text = cluster.ask(cluster.leader(), "/metrics")
    assert status == 200
    of_a_node = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    assert cluster_metrics() <= of_a_node
    return shown | of_a_node
