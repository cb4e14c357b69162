"""Each alert, fired by making its cause: servers that stop, start again and again, hang, are cramped,
starved or asked too much, on disks that are full, slow, hanging or broken, and a Prometheus that watches
them all by the rules of `deploy/`. Time alone is made short: a minute of the rules is half a second."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusters import GROUPS
from conftest import DEPLOY, Server, read_yaml
from test_prometheus import Prometheus
from test_rules import RULES
from waiting import until

SUITE = Path(__file__).parent
#: What a minute of the rules takes here.
MINUTE = 0.5
SCRAPE = "250ms"
#: In seconds.
DAY = 86400
#: More than the smallest cache holds.
MANY = [(f"u{u}", f"i{(u * 7 + i * (u % 11 + 1)) % 60}") for u in range(3000) for i in range(20)]
#: Many items, so that there is something to filter.
WIDE = [(f"u{i % 40}", f"i{i}") for i in range(20000)]
#: What no model of few dimensions explains.
MIXED = [(f"n{u}", f"i{(u * 7 + i * i) % 30}") for u in range(40) for i in range(10)]
#: A file system of its own for the store, in memory, and a shell beside the server that does there as it
#: is told.
SMALL_DISK = """
mount -t tmpfs -o size=16m tmpfs "$ROOM" && cp -a "$FULL_STORE" "$ROOM/store" || exit 1
"$0" "$@" </dev/null & server=$!
trap 'kill $server; wait $server; exit' TERM
while read -r line; do eval "$line"; done
"""


def shortened(text: str) -> str:
    """A number of minutes or seconds of the rules, as it is here."""
    number, unit = float(text[:-1]), text[-1]
    return f"{round(number * (1 if unit == 'm' else 1 / 60) * MINUTE * 1000)}ms"


def bound(found: re.Match[str]) -> str:
    """A metric with the time that it is to exceed; a day, which would be minutes here, is a minute."""
    seconds = min(float(found[2]), DAY)
    return f"{found[1]} > {(60 if seconds == DAY else seconds) / 60 * MINUTE}"


def quick_rules() -> dict[str, Any]:
    """The rules with every time in them made short, and nothing else."""
    rules = read_yaml(DEPLOY / "prometheus/rules.yaml")
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = shortened(rule["for"])
            expression = re.sub(
                r"(\[|offset )(\d+m)", lambda m: m[1] + shortened(m[2]), rule["expr"]
            )
            rule["expr"] = re.sub(r"(\w+_seconds) > ([1-9]\d*)", bound, expression)
    return rules


def together(ask: Callable[[], object]) -> None:
    """Asks from four sides at once."""
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Cause:
    """A server to which something happens."""

    #: The alerts that this must fire; others may.
    alerts: tuple[str, ...] = ()
    #: Settings beside those of the compose file.
    settings: tuple[tuple[str, str], ...] = ()
    store = "groups"

    def __init__(self, scene: Scene, name: str) -> None:
        self.scene = scene
        self.folder = scene.folder / name
        self.folder.mkdir()
        self.stores()
        self.server = self.start()

    def stores(self) -> None:
        """Lays the store ready."""
        shutil.copytree(self.scene.folder / self.store, self.folder / "store")

    def environment(self) -> dict[str, str]:
        """Variables of the server."""
        return self.scene.environment | dict(self.settings)

    def start(self, **how: Any) -> Server:
        """Starts the server."""
        return Server(self.folder, self.scene.configuration, self.environment(), **how)

    def make(self) -> None:
        """Makes the cause, once all servers are ready."""

    def go_on(self) -> None:
        """One step of what goes on meanwhile."""

    def end(self) -> None:
        """Ends the server."""
        self.server.stop()

    def ask(self, path: str, method: str = "GET", body: Any = None) -> tuple[int, str]:
        """An answer, with a key that may do everything; status 0 when there is none."""
        text = None if body is None else json.dumps(body)
        try:
            return self.server.ask(path, self.scene.key, method, text)
        except OSError:
            return 0, ""

    def add(self, rows: list[tuple[str, str]]) -> int:
        """Adds interactions; the status."""
        body = {"interactions": [{"user": user, "item": item} for user, item in rows]}
        return self.ask("/interactions", "POST", body)[0]


class Well(Cause):
    """Used as it should be: nothing fires."""

    def go_on(self) -> None:
        assert self.ask("/recommend?user=u3")[0] == 200
        assert self.add([("u5", "i0")]) == 202


class Gone(Cause):
    """Ends, and does not come back."""

    alerts = ("RecantDown",)

    def make(self) -> None:
        self.server.stop()

    def end(self) -> None:
        pass


class Restarting(Cause):
    """Is killed and started again, four times."""

    alerts = ("RecantRestarting",)

    def make(self) -> None:
        for _ in range(4):
            begun = f'process_start_time_seconds{{instance="{self.server.address}"}}'
            before = self.scene.prometheus.value(begun)
            self.server.stop()
            # The time that a process began is told in whole seconds, of a clock that is up to one late.
            until(lambda before=before: time.time() > before + 2.1, "another second")
            self.server = self.start(listen=self.server.address)
            self.server.until_ready()
            until(
                lambda begun=begun, before=before: self.scene.prometheus.value(begun) > before,
                "a scrape of the new one",
            )


class Starting(Cause):
    """Waits for the service that keeps its master key."""

    alerts = ("RecantStarting",)

    def environment(self) -> dict[str, str]:
        self.answer = self.folder / "answer"
        os.mkfifo(self.answer)
        variables = super().environment()
        key = variables.pop("RECANT__KEYS__MASTER_ENVIRONMENT")
        self.master = variables[key]
        return variables | {"RECANT__KEYS__MASTER_COMMAND": f"cat {self.answer}"}

    def end(self) -> None:
        # What hangs in the command is let go before the server is told to end.
        self.answer.write_text(self.master)
        self.server.until_ready()
        super().end()


class Crowded(Cause):
    """May open few files, and many connections are left open."""

    alerts = ("RecantFileDescriptors",)
    connections: tuple[socket.socket, ...] = ()

    def make(self) -> None:
        resource.prlimit(self.server.pid, resource.RLIMIT_NOFILE, (200, 200))
        host, port = self.server.address.split(":")
        address = (host, int(port))
        self.connections = tuple(socket.create_connection(address) for _ in range(150))

    def end(self) -> None:
        super().end()
        for connection in self.connections:
            connection.close()


class Cramped(Cause):
    """Comes to hold what its dimensions have no room for."""

    alerts = (
        "RecantErasureUncertified",
        "RecantErasureUncertifiedLong",
        "RecantCertificateRefused",
        "RecantCertificateStale",
    )

    def make(self) -> None:
        assert self.add(MIXED) == 202
        assert self.ask("/interactions?user=u1", "DELETE")[0] == 202


class OnBadDisk(Cause):
    """On a disk that does as it is told."""

    def environment(self) -> dict[str, str]:
        self.disk = self.folder / "disk"
        preload = {"LD_PRELOAD": str(self.scene.bad_disk), "BAD_DISK": str(self.disk)}
        return super().environment() | preload

    def becomes(self, text: str) -> None:
        """What the disk does from now on; of a piece, for it is read all the time."""
        new = self.folder / "disk.new"
        new.write_text(text)
        new.rename(self.disk)

    def end(self) -> None:
        self.becomes("")
        super().end()


class Slow(OnBadDisk):
    """On a slow disk: states and certificates wait for it."""

    alerts = ("RecantStoreSlow", "RecantErasureNotForgotten", "RecantAdditionsDeferred")
    settings = (("RECANT__CERTIFICATE__WAIT_SECONDS_MAX", "1"),)

    def make(self) -> None:
        self.becomes("sync 700")
        self.next = 0

    def go_on(self) -> None:
        self.add([(f"u{self.next % 40}", "i3")])
        self.ask(f"/interactions?user=u{self.next % 40}", "DELETE")
        self.next += 1


class Stalled(OnBadDisk):
    """On a disk that finishes no sync."""

    alerts = ("RecantStoreStalled",)
    settings = (("RECANT__STORE__SYNC_SECONDS_MAX", "1"),)

    def make(self) -> None:
        self.becomes("sync 1000000")

    def go_on(self) -> None:
        self.add([("u3", "i3")])


class Failing(OnBadDisk):
    """On a disk that cannot write what it took."""

    alerts = ("RecantFailing",)

    def make(self) -> None:
        self.becomes("sync-error")
        assert self.add([("u3", "i3")]) == 500


class Unreadable(OnBadDisk):
    """On a disk that cannot read: the worker fails, and fails again."""

    alerts = ("RecantWorkerStopped",)
    settings = (("RECANT__STORE__CACHE_BYTES", str(2**20)),)
    store = "many"

    def make(self) -> None:
        self.items = itertools.count()

    def go_on(self) -> None:
        if self.is_given_up():
            return
        if self.ask("/healthz")[0] == 0:
            self.start_again()
        # Accepted on a disk that reads; to carry it out histories are sealed anew, so they have to be read.
        self.becomes("")
        self.ask(f"/interactions?item=i{next(self.items)}", "DELETE")
        self.becomes("read-error")
        end = time.monotonic() + 3
        while not self.is_given_up() and time.monotonic() < end:
            time.sleep(0.1)

    def is_given_up(self) -> bool:
        return self.ask("/healthz")[0] == 503

    def start_again(self) -> None:
        """Starts it once more: a database that cannot read may end the process."""
        self.becomes("")
        self.server.stop()
        self.server = self.start(listen=self.server.address)
        self.server.until_ready()


class Busy(Cause):
    """May do one thing at a time, and is asked for more."""

    alerts = ("RecantOverloaded",)
    settings = (("RECANT__SERVER__CONCURRENCY_MAX", "1"),)

    def go_on(self) -> None:
        users = [f"u{number}" for number in range(40)] * 100
        together(lambda: self.ask("/recommend", "POST", {"users": users}))


class Starved(Cause):
    """Is asked for much, and gets a third of the processor's time."""

    alerts = ("RecantRecommendSlow",)
    store = "wide"
    is_over = True

    def make(self) -> None:
        self.is_over = False
        self.prices = itertools.count(100)
        self.pauses = threading.Thread(target=self.pause)
        self.pauses.start()

    def pause(self) -> None:
        """Stops and continues the process, as a machine that is shared does."""
        while not self.is_over:
            os.kill(self.server.pid, signal.SIGSTOP)
            time.sleep(0.4)
            os.kill(self.server.pid, signal.SIGCONT)
            time.sleep(0.1)

    def go_on(self) -> None:
        def ask() -> None:
            for _ in range(20):
                # Another one each time: what a filter finds is kept.
                price = next(self.prices)
                found = f"properties.price < {price}.5 && size(title) > 3 && !title.endsWith('7')"
                self.ask("/recommend", "POST", {"user": "u3", "k": 2, "filter": found})

        together(ask)

    def end(self) -> None:
        if not self.is_over:
            self.is_over = True
            self.pauses.join()
        super().end()


class Besieged(Cause):
    """Is asked with a key that it does not know."""

    alerts = ("RecantKeysRefused",)

    def go_on(self) -> None:
        for _ in range(10):
            assert self.server.ask("/recommend?user=u3", "a-key-of-nobody")[0] == 401


class OnSmallDisk(Cause):
    """On a small disk that fills: first a compaction finds no room, then nothing does."""

    alerts = ("RecantDiskFilling", "RecantCompactionLate", "RecantDiskFull")
    settings = (
        ("RECANT__STORE__COMPACT_AFTER_SECONDS", "1"),
        ("RECANT__STORE__FREE_SPACE_MIN_BYTES", "65536"),
    )
    store = "many"

    def stores(self) -> None:
        """Nothing: the store is laid on the small disk."""

    def environment(self) -> dict[str, str]:
        full = self.scene.folder / self.store
        return super().environment() | {"ROOM": str(self.folder), "FULL_STORE": str(full)}

    def start(self, **how: Any) -> Server:
        return super().start(inside=[*OWN_MOUNTS, "sh", "-c", SMALL_DISK], **how)

    def fill(self, kilobytes_left: int) -> None:
        """Lets something else take the room but so much of it."""
        free = '$(df -Pk "$ROOM" | tail -1 | tr -s " " | cut -d " " -f 4)'
        self.server.tell(
            f"more=$(({free} - {kilobytes_left}));"
            ' if [ $more -gt 0 ]; then head -c ${more}k /dev/zero >>"$ROOM/another"; fi'
        )

    def make(self) -> None:
        self.users = itertools.count(40)

    def go_on(self) -> None:
        # Again and again: a compaction that was under way gives room back when it ends, and one that found
        # room leaves the next to find none.
        is_late = self.scene.fired("RecantCompactionLate", self.server.address)
        self.fill(0 if is_late else 1500)
        if not is_late:
            self.ask(f"/interactions?user=u{next(self.users)}", "DELETE")
        self.add([("u3", "i3")])


class Mistaken(Cause):
    """Is given a file of API keys that is none."""

    alerts = ("RecantApiKeysStale",)

    def make(self) -> None:
        file = self.server.data / "api-keys.json"
        file.write_text("{")
        file.chmod(0o600)


class Unheard(Cause):
    """Calls an endpoint that is not there, and may keep one erasure for it."""

    alerts = ("RecantWebhooksLate", "RecantWebhookLost")

    def start(self, **how: Any) -> Server:
        """Starts with a webhook."""
        endpoint = '[[webhooks]]\nname = "gone"\nurl = "http://127.0.0.1:9/"\n'
        limits = "every_seconds = 1\nwaiting_max = 1\n"
        file = self.folder / "recant.toml"
        file.write_text(f"{self.scene.configuration.read_text()}\n{endpoint}{limits}")
        return Server(self.folder, file, self.environment(), **how)

    def make(self) -> None:
        for user in ("u1", "u2", "u3"):
            assert self.ask("/erasures", "POST", {"users": [user]})[0] == 202


class Expiring(Cause):
    """Shows a certificate that is over tomorrow."""

    alerts = ("RecantTlsCertificateExpiring",)

    def environment(self) -> dict[str, str]:
        """Makes the certificate, and names it."""
        names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        pair = ["-keyout", self.folder / "tls.key", "-out", self.folder / "tls.pem"]
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
        command = ["openssl", "req", "-x509", *kind, *names, *pair]
        subprocess.run(command, check=True, capture_output=True)
        return super().environment() | {
            "RECANT__SERVER__TLS_CERTIFICATE": str(self.folder / "tls.pem"),
            "RECANT__SERVER__TLS_KEY": str(self.folder / "tls.key"),
        }


OWN_MOUNTS = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "-rm"]
CAUSES: dict[str, type[Cause]] = {
    kind.__name__.lower(): kind
    for kind in (
        Well,
        Gone,
        Restarting,
        Starting,
        Crowded,
        Cramped,
        Slow,
        Stalled,
        Failing,
        Unreadable,
        Busy,
        Starved,
        Besieged,
        OnSmallDisk,
        Expiring,
        Mistaken,
        Unheard,
    )
}
#: Fired by what happens to a cluster, in `test_cluster_causes.py`.
OF_A_CLUSTER = (
    "RecantClusterNoLeader",
    "RecantClusterNodeMissing",
    "RecantClusterOwing",
    "RecantClusterLogNotSynced",
    "RecantClusterLogFull",
    "RecantClusterLogSilent",
)
#: No command makes a store lose something behind its node's back: `tests/cluster/contents.rs` does, and
#: looks at the metric.
BY_ANOTHER_TEST = ("RecantClusterContentsDiffer",)
#: Fires when there is nothing to scrape yet, before the first server.
WITHOUT_SERVER = "RecantAbsent"


class Scene:
    """All servers, and the Prometheus that watches them."""

    def __init__(self, deploy: Path, folder: Path) -> None:
        self.folder = folder
        self.key = (deploy / "secrets/operator.key").read_text()
        self.configuration = deploy / "secrets/recant.toml"
        lines = (deploy / "secrets/master.env").read_text().splitlines()
        master = dict(line.split("=", 1) for line in lines)
        service = read_yaml(deploy / "compose.yaml")["services"]["recant"]
        small = {"RECANT__MODEL__DIM": "6", "RECANT__SERVER__SHUTDOWN_GRACE_SECONDS": "1"}
        self.environment = dict(service["environment"]) | master | small
        self.bad_disk = folder / "bad_disk.so"
        compiler = ["cc", "-shared", "-fPIC", "-o", self.bad_disk, SUITE / "bad_disk.c", "-ldl"]
        subprocess.run(compiler, check=True)
        self.import_stores()
        self.targets = folder / "targets.json"
        self.targets.write_text("[]")
        self.prometheus = Prometheus(folder, self.fitted(deploy))
        self.causes: dict[str, Cause] = {}
        #: What has fired of each server.
        self.seen: dict[str, set[str]] = {}

    def import_stores(self) -> None:
        """The stores that are copied for the servers."""
        wide = [f'i{i},Thing {i},"{{""price"": {i}.0}}"' for i in range(20000)]
        (self.folder / "items.csv").write_text(
            "item_id,title,properties\n" + "\n".join(wide) + "\n"
        )
        described = ["--items", str(self.folder / "items.csv")]
        for name, rows, more in (
            ("groups", GROUPS, []),
            ("many", MANY, []),
            ("wide", WIDE, described),
        ):
            file = self.folder / f"{name}.csv"
            file.write_text("user_id,item_id\n" + "\n".join(map(",".join, rows)) + "\n")
            place = ["--config", self.configuration, "--data-dir", self.folder / name]
            for words in (["import", file, *more, *place], ["train", *place]):
                subprocess.run(
                    [os.environ["RECANT_BINARY"], *words],
                    env=dict(os.environ) | self.environment,
                    check=True,
                    capture_output=True,
                )

    def fitted(self, deploy: Path) -> Path:
        """The configuration of `deploy/`, with the quick rules and targets that come and go."""
        (self.folder / "rules.yaml").write_text(yaml.safe_dump(quick_rules()))
        configuration = read_yaml(DEPLOY / "prometheus/prometheus.yaml")
        configuration["global"] |= {
            "scrape_interval": SCRAPE,
            "scrape_timeout": SCRAPE,
            "evaluation_interval": SCRAPE,
        }
        scrape = configuration["scrape_configs"][0]
        del scrape["static_configs"]
        scrape["file_sd_configs"] = [{"files": [str(self.targets)], "refresh_interval": "1s"}]
        scrape["tls_config"] = {"insecure_skip_verify": True}
        scrape["authorization"]["credentials_file"] = str(deploy / "secrets/prometheus.key")
        configuration["scrape_configs"] = [scrape]
        path = self.folder / "prometheus.yaml"
        path.write_text(yaml.safe_dump(configuration))
        return path

    def fired(self, name: str, address: str | None = None) -> bool:
        """Whether an alert fired, now or before."""
        instance = f',instance="{address}"' if address else ""
        alert = f'ALERTS{{alertname="{name}",alertstate="firing"{instance}}}'
        return self.prometheus.value(f"sum(count_over_time({alert}[10m]))") > 0

    def fired_of(self, address: str) -> set[str]:
        """All alerts of a server that fired."""
        alerts = f'ALERTS{{alertstate="firing",instance="{address}"}}'
        samples = self.prometheus.ask("query", query=f"count_over_time({alerts}[10m])")["result"]
        return {sample["metric"]["alertname"] for sample in samples}

    def watch(self) -> None:
        """Begins to scrape all servers."""
        servers = [cause.server for cause in self.causes.values()]
        addresses = [server.address for server in servers]
        groups = [
            {"targets": [server.address], "labels": {"__scheme__": server.url.split(":")[0]}}
            for server in servers
        ]
        self.targets.write_text(json.dumps(groups))
        up = f'count(up{{job="recant"}} == 1) == {len(addresses)}'
        until(lambda: self.prometheus.value(up) > 0, "a scrape of all")

    def end(self) -> None:
        """Ends everything."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.prometheus.stop)
            for cause in self.causes.values():
                stack.callback(cause.end)


def go_on(cause: Cause, is_over: threading.Event, faults: list[str]) -> None:
    """Makes a cause and keeps it up."""
    try:
        cause.make()
        while not is_over.wait(0.1):
            cause.go_on()
    except Exception as error:
        faults.append(f"{type(cause).__name__}: {error!r}")


def cannot() -> str | None:
    """Why the causes cannot be made here, if they cannot."""
    for tool in ("prometheus", "cc", "unshare", "openssl"):
        if not shutil.which(tool):
            return f"{tool} is not installed"
    own = subprocess.run([*OWN_MOUNTS, "true"], capture_output=True, check=False)
    return None if own.returncode == 0 else "no file system may be mounted, not even in private"


@pytest.fixture(scope="module")
def played(deploy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The scene after everything has happened."""
    if reason := cannot():
        pytest.skip(reason)
    scene = Scene(deploy, tmp_path_factory.mktemp("causes"))
    is_over, faults = threading.Event(), []
    threads: list[threading.Thread] = []
    try:
        until(lambda: scene.fired(WITHOUT_SERVER), WITHOUT_SERVER)
        for name, kind in CAUSES.items():
            scene.causes[name] = kind(scene, name)
        for name, cause in scene.causes.items():
            if name != "starting":
                cause.server.until_ready()
        scene.watch()
        addresses = {name: cause.server.address for name, cause in scene.causes.items()}
        threads = [
            threading.Thread(target=go_on, args=(cause, is_over, faults))
            for cause in scene.causes.values()
        ]
        for thread in threads:
            thread.start()

        def have_fired() -> bool:
            return faults != [] or all(
                set(kind.alerts) <= scene.fired_of(addresses[name]) for name, kind in CAUSES.items()
            )

        end = time.monotonic() + 300
        while not have_fired() and time.monotonic() < end:
            time.sleep(0.5)
        scene.seen = {name: scene.fired_of(address) for name, address in addresses.items()}
        assert faults == []
        yield scene
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
        scene.end()


@pytest.mark.parametrize(
    ("name", "alert"), [(name, alert) for name, kind in CAUSES.items() for alert in kind.alerts]
)
def test_an_alert_fires_by_its_cause(name: str, alert: str, played: Scene) -> None:
    assert alert in played.seen[name]


def test_nothing_fires_where_there_is_no_cause(played: Scene) -> None:
    assert played.seen["well"] == set()


def test_without_a_server_that_is_told(played: Scene) -> None:
    assert played.fired(WITHOUT_SERVER)


def test_the_cause_of_each_rule_is_made() -> None:
    made = [alert for kind in CAUSES.values() for alert in kind.alerts]
    made += [*OF_A_CLUSTER, *BY_ANOTHER_TEST, WITHOUT_SERVER]
    assert sorted(made) == sorted(rule["alert"] for rule in RULES)
