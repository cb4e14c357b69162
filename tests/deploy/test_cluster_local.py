"""The cluster that `deploy/cluster-local` starts: it takes writes at any node, and goes on without one."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest

from clusters import NODES, ROOT, LocalCluster
from waiting import until


@pytest.fixture(scope="module")
def nodes(cluster: LocalCluster | None) -> LocalCluster:
    """The cluster."""
    if cluster is None:
        pytest.skip("there is no nats-server 2.14 or later")
    return cluster


def erase(nodes: LocalCluster, by: str, user: str) -> str:
    """Has a person erased through a node; the id of the erasure."""
    found: list[str] = []

    def is_accepted() -> bool:
        status, text = nodes.ask(by, f"/interactions?user={user}", "DELETE")
        if status == 202:
            found.append(json.loads(text)["id"])
        return status == 202

    until(is_accepted, "an erasure that is accepted")
    return found[0]


def is_certified(nodes: LocalCluster, at: str, erasure: str) -> bool:
    """Whether a node knows the erasure for certified."""
    status, text = nodes.ask(at, f"/erasures/{erasure}")
    return status == 200 and json.loads(text)["status"] == "certified"


def test_what_one_node_takes_all_know(nodes: LocalCluster) -> None:
    assert nodes.ask("c", "/recommend?user=u3")[0] == 200
    erasure = erase(nodes, "b", "u3")
    for node in NODES:
        until(lambda node=node: is_certified(nodes, node, erasure), f"a certificate at {node}")
        status, text = nodes.ask(node, "/recommend?user=u3")
        assert status == 200 and json.loads(text)["source"] == "popular"


def test_the_commands_of_a_cluster_know_it(nodes: LocalCluster) -> None:
    leader = nodes.leader()
    known = json.loads(nodes.ask(leader, "/cluster")[1])
    assert [(node["node"], node["state"]) for node in known["nodes"]] == [
        (node, "current") for node in NODES
    ]


def test_a_node_that_is_killed_is_done_without_and_comes_back(nodes: LocalCluster) -> None:
    killed = nodes.leader()
    before = nodes.pid(killed)
    os.kill(before, signal.SIGKILL)
    others = [node for node in NODES if node != killed]
    erasure = erase(nodes, others[0], "u5")
    until(lambda: is_certified(nodes, others[1], erasure), "a certificate without the node")
    until(lambda: nodes.ask(killed, "/readyz")[0] == 200, "the node that was killed")
    assert nodes.pid(killed) != before
    until(lambda: is_certified(nodes, killed, erasure), "a certificate at the node that was killed")


def test_without_servers_of_the_log_it_says_so(tmp_path: os.PathLike[str]) -> None:
    done = subprocess.run(
        [ROOT / "deploy/cluster-local"],
        env=os.environ
        | {"RECANT_NATS_SERVER": "no-such-program", "RECANT_CLUSTER": f"{tmp_path}/cluster"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no nats-server" in done.stderr
