"""The compose file: what it mounts is there, what it runs is pinned and confined, and the program
understands what it is told."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from conftest import DEPLOY, Server, read_yaml, setting_of, settings, version

FILES: dict[str, dict[str, Any]] = {
    name: read_yaml(DEPLOY / name) for name in ("compose.yaml", "compose-cluster.yaml")
}
SERVICES: dict[str, dict[str, Any]] = FILES["compose.yaml"]["services"]
EACH_FILE = pytest.mark.parametrize("file", FILES)
EACH = pytest.mark.parametrize(
    ("file", "name"), [(file, name) for file in FILES for name in FILES[file]["services"]]
)


def composes() -> bool:
    """Whether docker has its plugin for files like this."""
    docker = shutil.which("docker")
    return (
        docker is not None
        and subprocess.run(
            [docker, "compose", "version"], capture_output=True, check=False
        ).returncode
        == 0
    )


@EACH_FILE
def test_docker_takes_the_file(file: str, deploy: Path) -> None:
    if not composes():
        pytest.skip("docker compose is not installed: the model of its format has to do")
    done = subprocess.run(
        ["docker", "compose", "--file", deploy / file, "config", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@EACH_FILE
def test_the_file_is_of_its_format(file: str) -> None:
    model = pytest.importorskip("compose_pydantic", reason="compose-pydantic is not installed")
    content = FILES[file]
    extensions = [key for key in content if key.startswith("x-")]
    model.ComposeSpecification.model_validate(
        {key: value for key, value in content.items() if key not in extensions}
    )


@EACH
def test_what_is_mounted_is_there(file: str, name: str, deploy: Path) -> None:
    service = FILES[file]["services"][name]
    for volume in service["volumes"]:
        source, target, *mode = volume.split(":")
        if source.startswith("."):
            assert (deploy / source).exists(), volume
            assert mode == ["ro"], volume
        else:
            assert source in FILES[file]["volumes"], volume
        assert target.startswith("/")
    for variables in service.get("env_file", []):
        assert (deploy / variables).is_file()


@EACH
def test_a_service_has_no_more_rights_than_it_needs(file: str, name: str) -> None:
    service = FILES[file]["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


@EACH
def test_a_service_is_of_one_version(file: str, name: str) -> None:
    image, tag = FILES[file]["services"][name]["image"].rsplit(":", 1)
    assert re.fullmatch(r"v?\d+\.\d+\.\d+", tag)
    if image == "recant":
        assert tag == version()


@EACH
def test_the_settings_exist(file: str, name: str) -> None:
    named = {setting_of(name) for name in FILES[file]["services"][name].get("environment", {})}
    assert named - {None} <= settings()


def test_the_health_check_is_one_that_the_program_knows(server: Server) -> None:
    test = SERVICES["recant"]["healthcheck"]["test"]
    assert test[:2] == ["CMD", "/usr/local/bin/recant"]
    arguments = [one.replace("127.0.0.1:8080", server.address) for one in test[2:]]
    done = subprocess.run([os.environ["RECANT_BINARY"], *arguments], check=False)
    assert done.returncode == 0


def test_the_secrets_are_for_their_owner(deploy: Path) -> None:
    secrets = deploy / "secrets"
    assert secrets.stat().st_mode & 0o077 == 0
    for name in ("master.env", "operator.key"):
        assert (secrets / name).stat().st_mode & 0o077 == 0
    assert len({path.read_text() for path in secrets.iterdir()}) == 5


def test_the_secrets_are_made_once(deploy: Path) -> None:
    before = {path: path.read_text() for path in (deploy / "secrets").iterdir()}
    again = subprocess.run([deploy / "new-secrets"], capture_output=True, check=False)
    assert again.returncode == 1
    assert before == {path: path.read_text() for path in (deploy / "secrets").iterdir()}


def test_the_key_of_prometheus_reads_and_does_nothing_else(server: Server, deploy: Path) -> None:
    key = (deploy / "secrets/prometheus.key").read_text()
    assert server.ask("/metrics")[0] == 401
    assert server.ask("/metrics", key)[0] == 200
    assert server.ask("/erasures", key)[0] == 403
    assert server.ask("/export?user=u1", key)[0] == 403


def test_the_master_key_is_not_beside_the_data(server: Server) -> None:
    assert (server.data / "keys/ring").exists()
    assert not (server.data / "keys/master").exists()
