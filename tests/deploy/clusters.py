"""Clusters of processes on this machine, as `deploy/cluster-local` starts them."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest

from waiting import until

ROOT = Path(os.environ.get("RECANT_ROOT", Path(__file__).parents[2]))
#: Ports of the script, the first of three each.
PORTS = (4222, 6222, 8080, 8180, 8222)
NODES = ("a", "b", "c")
#: Leases as short as they may be, so that nobody waits long.
QUICK = {"RECANT__CLUSTER__LEASE_SECONDS": "5", "RECANT__CLUSTER__TAKEOVER_SECONDS": "1"}
#: Two groups of people with tastes of their own, so that a certificate closes.
GROUPS = [(f"u{u}", f"i{i}") for u in range(40) for i in range(30) if i % 2 == u % 2]


def nats_server() -> str | None:
    """The program of NATS, if it is here; where it has to be (`RECANT_NATS_REQUIRED`) its absence fails."""
    found = shutil.which(os.environ.get("RECANT_NATS_SERVER", "nats-server"))
    if found is None and os.environ.get("RECANT_NATS_REQUIRED"):
        pytest.fail("there is no nats-server: name it in RECANT_NATS_SERVER")
    return found


def is_free(port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) != 0


def free_shift() -> int:
    """What to add to the ports of the script, so that nobody has them."""
    while True:
        # Below the ports that the kernel chooses from.
        shift = random.randrange(10_000, 20_000)
        if all(is_free(first + shift + n) for first in PORTS for n in range(3)):
            return shift


def variables(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment with these settings alone."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("RECANT__")}
    return others | dict(settings)


def is_there(pid: int) -> bool:
    """Whether a process has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class LocalCluster:
    """Three servers of NATS and three nodes, without keys, on loopback."""

    def __init__(self, folder: Path, server: str, settings: Mapping[str, str]) -> None:
        """`server` is the program of NATS."""
        self.folder = folder / "cluster"
        self.log = folder / "cluster-local.log"
        rows = folder / "rows.csv"
        rows.write_text("user_id,item_id\n" + "\n".join(map(",".join, GROUPS)) + "\n")
        self._shift = free_shift()
        own = {
            "RECANT_CLUSTER": str(self.folder),
            "RECANT_CLUSTER_SHIFT": str(self._shift),
            "RECANT_NATS_SERVER": server,
        }
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [ROOT / "deploy/cluster-local", rows],
                cwd=folder,
                env=variables(QUICK | dict(settings)) | own,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("nodes a, b and c answer on "):
                break
        else:
            self.stop()
            raise AssertionError(f"the cluster did not start: {self.log.read_text()}")

    def address(self, node: str) -> str:
        """Where a node answers callers."""
        return f"127.0.0.1:{8080 + self._shift + NODES.index(node)}"

    def ask(
        self, node: str, path: str, method: str = "GET", body: object = None
    ) -> tuple[int, str]:
        """Status and text of a node's answer; status 0 without one."""
        request = urllib.request.Request(
            f"http://{self.address(node)}{path}",
            headers={"Content-Type": "application/json"},
            method=method,
            data=None if body is None else json.dumps(body).encode(),
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def pid(self, name: str) -> int:
        """The process of a node, or of a server: `a`, or `nats1`."""
        return int((self.folder / f"{name}.pid").read_text())

    def end_for_good(self, name: str) -> None:
        """Ends one of the processes, and what would start it again."""
        pid = self.pid(name)
        status = Path(f"/proc/{pid}/status").read_text()
        keeper = next(line.split()[1] for line in status.splitlines() if line.startswith("PPid"))
        os.kill(int(keeper), signal.SIGTERM)
        until(lambda: not is_there(pid), f"the end of {name}")

    def leader(self) -> str:
        """Who leads, when somebody does."""
        found: list[str] = []

        def leads() -> bool:
            for node in NODES:
                status, text = self.ask(node, "/readyz")
                if status == 200 and json.loads(text)["role"] == "leader":
                    found.append(node)
            return bool(found)

        until(leads, "a node that leads")
        return found[0]

    def stop(self) -> None:
        """Ends all processes, in turn."""
        self._process.terminate()
        self._process.communicate(timeout=120)
