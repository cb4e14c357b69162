"""The cluster of `deploy/compose-cluster.yaml` on this machine, as processes: servers of NATS and nodes
that show one another the certificates which `deploy/new-cluster-secrets` makes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusters import PORTS, QUICK, free_shift, nats_server, variables
from conftest import DEPLOY, read_yaml
from waiting import until

SERVICES: dict[str, dict[str, Any]] = read_yaml(DEPLOY / "compose-cluster.yaml")["services"]
NATS = [name for name in SERVICES if name.startswith("nats-")]
NODES = [name for name in SERVICES if name.startswith("node-")]


class Here:
    """What the file says of hosts of their own, on this one."""

    def __init__(self, folder: Path, secrets: Path) -> None:
        self.folder = folder
        self.secrets = secrets
        self._shift = free_shift()

    def port(self, host: str, port: int) -> int:
        """The port of a service, in place of the one that its container has."""
        hosts = NATS if host in NATS else NODES
        first = {4222: 4222, 6222: 6222, 8222: 8222, 8080: 8080, 8081: 8180}[port]
        assert first in PORTS
        return first + self._shift + hosts.index(host)

    def fitted(self, text: str) -> str:
        """A text with hosts and ports as they are here."""
        for host in SERVICES:
            for port in (4222, 6222, 8222, 8081):
                text = text.replace(f"{host}:{port}", f"localhost:{self.port(host, port)}")
        return text

    def environment(self, name: str) -> dict[str, str]:
        """The environment of a service."""
        given = {key: str(value) for key, value in SERVICES[name]["environment"].items()}
        own = {key: self.fitted(value) for key, value in given.items()}
        if name in NODES:
            own |= {
                "RECANT__SERVER__LISTEN": f"127.0.0.1:{self.port(name, 8080)}",
                "RECANT__STORE__DATA_DIR": str(self.folder / name),
                "RECANT__CLUSTER__LISTEN": f"0.0.0.0:{self.port(name, 8081)}",
                "MASTER_KEY": "ab" * 32,
            }
            place = "/etc/recant-cluster"
            own = {key: value.replace(place, str(self.secrets)) for key, value in own.items()}
        return variables(QUICK | own) if name in NODES else variables(own)

    def server(self, name: str, program: str) -> list[str | Path]:
        """The command of a server of NATS, from the file that it mounts."""
        data = self.folder / name
        data.mkdir()
        text = (DEPLOY / "nats/cluster.conf").read_text()
        for port in (4222, 6222, 8222):
            text = text.replace(f"0.0.0.0:{port}", f"127.0.0.1:{self.port(name, port)}")
        text = text.replace('"/data"', f'"{data}"').replace("/etc/nats", str(self.secrets))
        file = self.folder / f"{name}.conf"
        file.write_text(text)
        return [program, "--config", file]

    def is_ready(self, name: str) -> bool:
        """Whether a node answers."""
        url = f"http://127.0.0.1:{self.port(name, 8080)}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["status"] == "ready"
        except OSError:
            return False


@contextlib.contextmanager
def running(command: list[str | Path], environment: dict[str, str], log: Path) -> Iterator[None]:
    """A process, as long as it is wanted."""
    with log.open("w") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


def test_the_nodes_of_the_file_form_a_cluster(tmp_path: Path) -> None:
    program = nats_server()
    if program is None:
        pytest.skip("there is no nats-server 2.14 or later")
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    copy = tmp_path / "deploy"
    copy.mkdir()
    shutil.copy(DEPLOY / "new-cluster-secrets", copy)
    # Everybody is on this machine.
    subprocess.run([copy / "new-cluster-secrets", "localhost"], check=True)
    here = Here(tmp_path, copy / "cluster-secrets/localhost")
    recant = os.environ["RECANT_BINARY"]
    with contextlib.ExitStack() as stack:
        for name in NATS:
            command, log = here.server(name, program), tmp_path / f"{name}.log"
            stack.enter_context(running(command, here.environment(name), log))
        subprocess.run(
            [recant, "cluster", "init"],
            env=here.environment(NODES[0]),
            cwd=tmp_path,
            check=True,
            timeout=120,
        )
        for name in NODES:
            log = tmp_path / f"{name}.log"
            stack.enter_context(running([recant, "serve"], here.environment(name), log))
        for name in NODES:
            until(lambda name=name: here.is_ready(name), f"{name}, ready")


def test_the_certificates_are_made_once(deploy: Path) -> None:
    secrets = deploy / "cluster-secrets"
    assert secrets.stat().st_mode & 0o077 == 0
    assert {path.name for path in secrets.iterdir() if path.is_dir()} == set(SERVICES)
    again = subprocess.run([deploy / "new-cluster-secrets"], capture_output=True, check=False)
    assert again.returncode == 1
