#!/usr/bin/env python3
"""Cuts the networks between three machines of a cluster, again and again.

    cargo build --release
    sudo RECANT_NATS_SERVER=nats-server tests/cluster_netns.py target/release/recant [CUTS...]

Needs root, network namespaces, openssl and nats-server 2.14 or later; about five minutes, not part of `cargo
test`. Each machine is a namespace with a node and a server of NATS, on two networks: one between nodes and one between
servers. Their bridges are in a fourth namespace that has no way out. A cut takes a machine's port from a
bridge; nothing is told to either side, as when a cable is pulled. The cuts:

    nodes-of-follower, nodes-of-leader    nodes cannot reach that node, the log can
    log-of-follower, log-of-leader        its server of NATS cannot reach the others
    log-leader                            the same of the server that leads the log
    follower, leader                      the machine is alone: 1 : 2

Callers in each machine write to its node and read from it all the while. Checked from outside: nothing that was
acknowledged is lost, and nothing comes back; no list that was asked for after an erasure was forgotten is of an
earlier version; a machine that is alone stops answering readers when its lease ends; the others take writes
again. In the end all nodes make the same lists.
"""
import collections, contextlib, ctypes, json, os, random, re, shutil, signal, subprocess, sys, tempfile, threading
import time, urllib.error, urllib.request

CUTS = ["nodes-of-follower", "log-of-follower", "follower", "leader", "log-leader", "log-of-leader", "nodes-of-leader"]
MACHINES = 3
LEASE, TAKEOVER = 15, 10
CUT_SECONDS = 30  # Longer than a failover of the log, and a lease after it.
SLACK = 3  # Between the end of a lease and the answer that the caller reads.
PATIENCE = 90
USERS, ITEMS, KEPT = 12, 60, 400
PRESENT, GONE, OPEN = "present", "gone", "open"
NAME = f"rc{os.getpid()}"
libc = ctypes.CDLL(None, use_errno=True)


def skip(why):
    print(f"*** SKIPPED, no network was cut: {why} ***", file=sys.stderr)
    sys.exit(1 if os.environ.get("RECANT_NETNS_REQUIRED") == "1" else 0)


def run(*command, check=True):
    result = subprocess.run(command, capture_output=True, text=True)
    if check and result.returncode:
        raise RuntimeError(f"{' '.join(command)}: {result.stderr.strip()}")
    return result


def enter(namespace):
    """Moves this thread alone into a namespace."""
    with open(f"/run/netns/{namespace}") as file:
        if libc.setns(file.fileno(), 0x40000000):
            raise OSError(ctypes.get_errno(), "setns")


def call(method, url, body=None, headers=(), timeout=30):
    request = urllib.request.Request(url, method=method, headers=dict(headers))
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, data=data, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_for(what, condition, patience=PATIENCE):
    begun = time.monotonic()
    while True:
        with contextlib.suppress(OSError, ValueError, KeyError):
            found = condition()
            if found is not None and found is not False:
                return found
        if time.monotonic() - begun > patience:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.1)


class Networks:
    """The namespaces, and the bridges between them."""

    def __init__(self):
        self.hub = f"{NAME}hub"
        self.made = []

    def make(self):
        self.namespace(self.hub)
        for bridge in ("nodes", "log"):
            run("ip", "-n", self.hub, "link", "add", bridge, "type", "bridge")
            run("ip", "-n", self.hub, "link", "set", bridge, "up")
        for at in range(MACHINES):
            machine = self.machine(at)
            self.namespace(machine)
            run("ip", "-n", machine, "link", "set", "lo", "up")
            for number, bridge in enumerate(("nodes", "log"), 1):
                # Both ends are made where they stay: nothing is ever in the namespace of this machine.
                run("ip", "-n", self.hub, "link", "add", f"{bridge}{at}", "type", "veth", "peer", "name", bridge,
                    "netns", machine)
                run("ip", "-n", machine, "address", "add", f"10.77.{number}.{at + 1}/24", "dev", bridge)
                run("ip", "-n", machine, "link", "set", bridge, "up")
                run("ip", "-n", self.hub, "link", "set", f"{bridge}{at}", "master", bridge, "up")

    def namespace(self, name):
        run("ip", "netns", "add", name)
        self.made.append(name)

    def machine(self, at):
        return f"{NAME}m{at}"

    def cut(self, bridge, at):
        run("ip", "-n", self.hub, "link", "set", f"{bridge}{at}", "nomaster")

    def mend(self):
        for at in range(MACHINES):
            for bridge in ("nodes", "log"):
                run("ip", "-n", self.hub, "link", "set", f"{bridge}{at}", "master", bridge)

    def remove(self):
        for name in reversed(self.made):
            run("ip", "netns", "delete", name, check=False)


class Machine:
    """A node and a server of NATS in a namespace."""

    def __init__(self, at, namespace, folder, recant, nats):
        self.at, self.namespace, self.folder, self.recant, self.nats = at, namespace, folder, recant, nats
        self.name, self.data, self.processes = f"n{at + 1}", os.path.join(folder, f"n{at + 1}"), []
        self.url = "http://127.0.0.1:8080"
        logs = [f"10.77.2.{number + 1}" for number in range(MACHINES)]
        self.environment = {
            **os.environ,
            "RECANT__CLUSTER__NATS_URL": ",".join(f"nats://{address}:4222" for address in logs),
            "RECANT__CLUSTER__MONITOR_URLS": ",".join(f"http://{address}:8222" for address in logs),
            "RECANT__CLUSTER__LISTEN": f"10.77.1.{at + 1}:8081",
            "RECANT__CLUSTER__ADVERTISE": f"https://10.77.1.{at + 1}:8081",
            "RECANT__CLUSTER__TLS_CERTIFICATE": f"{self.data}.pem",
            "RECANT__CLUSTER__TLS_KEY": f"{self.data}.key",
            "RECANT__CLUSTER__TLS_AUTHORITY": os.path.join(folder, "authority.pem"),
            "RECANT__CLUSTER__LEASE_SECONDS": str(LEASE),
            "RECANT__CLUSTER__TAKEOVER_SECONDS": str(TAKEOVER),
            "RECANT__CLUSTER__LOG_BYTES_MAX": str(256 << 20),
            "RECANT__MODEL__DIM": "8",
        }

    def command(self, *arguments):
        return ["ip", "netns", "exec", self.namespace, *arguments]

    def start(self, name, *arguments):
        # What it says goes into a file beside its directory.
        with open(f"{self.data}.{name}.log", "a") as log:
            command = self.command(*arguments)
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=self.environment))

    def start_nats(self):
        own = f"10.77.2.{self.at + 1}"
        routes = ", ".join(f"nats://10.77.2.{number + 1}:6222" for number in range(MACHINES))
        path = f"{self.data}.nats.conf"
        with open(path, "w") as file:
            file.write(f'server_name: {self.name}\nlisten: "{own}:4222"\nhttp: "{own}:8222"\n'
                       f'jetstream {{ store_dir: "{self.data}.nats", sync_interval: always, max_file_store: 1GB }}\n'
                       f'cluster {{ name: recant, listen: "{own}:6222", routes: [{routes}], '
                       'ping_interval: "2s", ping_max: 3 }\n')
        self.start("nats-server", self.nats, "--config", path)

    def start_node(self):
        self.start("recant", self.recant, "serve", "--role", "candidate", "--node", self.name, "--data-dir", self.data,
                   "--listen", "127.0.0.1:8080")

    def ask(self, *arguments, **named):
        """A call from within the namespace, whatever thread asks."""
        found = []

        def inside():
            try:
                enter(self.namespace)
                found.append(call(*arguments, **named))
            except OSError as error:
                found.append(error)

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if isinstance(found[0], OSError):
            raise found[0]
        return found[0]

    def page(self, path):
        status, body = self.ask("GET", self.url + path, timeout=3)
        return json.loads(body) if status == 200 else None

    def role(self):
        return self.page("/cluster")["role"]

    def is_ready(self):
        return self.ask("GET", f"{self.url}/readyz", timeout=3)[0] == 200

    def leads_log(self):
        _, body = self.ask("GET", f"http://10.77.2.{self.at + 1}:8222/jsz?streams=true", timeout=3)
        streams = [stream for account in json.loads(body).get("account_details", [])
                   for stream in account.get("stream_detail", [])]
        return any(stream["name"] == "RECANT_recant" and stream["cluster"]["leader"] == self.name for stream in streams)

    def stop(self):
        for process in reversed(self.processes):
            process.kill()
        for process in self.processes:
            process.wait()


class Watch:
    """What callers in all machines saw."""

    def __init__(self):
        self.lock, self.stop = threading.Lock(), threading.Event()
        self.floor, self.faults = 0, []  # of versions: what was forgotten is in none from there on
        self.reads = [collections.Counter() for _ in range(MACHINES)]
        self.last_read = [0.0] * MACHINES  # when the last list that was answered was asked for
        # Of all that was acknowledged, when it was sent and when it was acknowledged.
        self.additions, self.erasures = [[] for _ in range(MACHINES)], [[] for _ in range(MACHINES)]

    def forgotten(self, version):
        with self.lock:
            self.floor = max(self.floor, version)


class Reader(threading.Thread):
    def __init__(self, machine, watch, seed):
        super().__init__(daemon=True)
        self.machine, self.watch, self.random = machine, watch, random.Random(seed)

    def run(self):
        enter(self.machine.namespace)
        at = self.machine.at
        while not self.watch.stop.is_set():
            user = f"kept-{self.random.randrange(20)}"
            with self.watch.lock:
                floor, begun = self.watch.floor, time.monotonic()
            try:
                status, body = call("GET", f"{self.machine.url}/recommend?user={user}", timeout=5)
            except OSError:
                status = 0
            self.watch.reads[at][status] += 1
            if status == 200:
                version = json.loads(body)["model_version"]
                if version < floor:
                    self.watch.faults.append(f"{self.machine.name} answered version {version} after {floor}")
                self.watch.last_read[at] = begun
            else:
                time.sleep(0.05)
            time.sleep(0.01)


class Writer(threading.Thread):
    """Adds pairs of its own, or erases those of another; one whose last request was not acknowledged is never
    asked for again. Erasures may wait for a lease, so nobody does both."""

    def __init__(self, machine, watch, number, adder=None):
        super().__init__(daemon=True)
        self.machine, self.watch, self.number, self.random = machine, watch, number, random.Random(number)
        self.pairs, self.present = ({}, []) if adder is None else (adder.pairs, adder.present)
        self.erases, self.round, self.acknowledged, self.open = adder is not None, 0, 0, 0

    def fresh(self):
        self.round += 1
        return f"usr-{self.number}-{self.round // 30}", f"itm-{self.random.randrange(ITEMS)}"

    def run(self):
        enter(self.machine.namespace)
        while not self.watch.stop.is_set():
            if self.erases and len(self.present) > 20:
                # Whoever adds appends alone.
                self.erase(self.present.pop(self.random.randrange(len(self.present))))
            elif not self.erases and (pair := self.fresh()) not in self.pairs:
                self.add(pair)
            time.sleep(0.02)

    def attempt(self, pair, state, *request, **named):
        self.pairs[pair], begun = OPEN, time.monotonic()
        try:
            status, body = call(*request, **named)
        except OSError:
            status, body = 0, ""
        if status in (200, 202):
            self.pairs[pair] = state
            self.acknowledged += 1
            return (begun, time.monotonic()), status, body
        self.open += 1
        time.sleep(0.1)
        return None

    def add(self, pair):
        body = {"interactions": [{"user": pair[0], "item": pair[1]}]}
        done = self.attempt(pair, PRESENT, "POST", f"{self.machine.url}/interactions", body, timeout=10)
        if done:
            self.present.append(pair)
            self.watch.additions[self.machine.at].append(done[0])

    def erase(self, pair):
        target = f"{self.machine.url}/interactions?user={pair[0]}&item={pair[1]}"
        done = self.attempt(pair, GONE, "DELETE", target, headers={"Prefer": "wait=20"}, timeout=45)
        if not done:
            return
        self.watch.erasures[self.machine.at].append(done[0])
        if done[1] == 200:
            with contextlib.suppress(OSError):
                erasure = json.loads(done[2])["id"]
                status, body = call("GET", f"{self.machine.url}/erasures/{erasure}", timeout=5)
                if status == 200:
                    self.watch.forgotten(json.loads(body)["model_version_after"])

    def check(self, leader):
        held = {}
        for (user, item), state in self.pairs.items():
            if user not in held:
                status, body = leader.ask("GET", f"{leader.url}/export?user={user}")
                assert status == 200, body
                held[user] = {json.loads(line)["item"] for line in body.splitlines()}
            if state != OPEN:
                is_there = item in held[user]
                assert is_there == (state == PRESENT), f"{user}, {item} is {state}, found: {is_there}"
        return sum(state != OPEN for state in self.pairs.values())


def certificates(folder, machines):
    def openssl(*arguments):
        run("openssl", *arguments)

    authority, key = os.path.join(folder, "authority.pem"), os.path.join(folder, "authority.key")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=cluster", "-keyout", key, "-out", authority)
    for machine in machines:
        request, extensions = f"{machine.data}.csr", f"{machine.data}.ext"
        with open(extensions, "w") as file:
            file.write(f"subjectAltName=IP:10.77.1.{machine.at + 1}\nextendedKeyUsage=serverAuth,clientAuth\n"
                       "basicConstraints=CA:FALSE\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                f"/CN={machine.name}", "-keyout", f"{machine.data}.key", "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", authority, "-CAkey", key, "-CAcreateserial", "-days", "2",
                "-extfile", extensions, "-out", f"{machine.data}.pem")


def the_leader(machines):
    def one():
        found = []
        for machine in machines:
            with contextlib.suppress(OSError, ValueError, TypeError):
                if machine.role() == "leader":
                    found.append(machine)
        return found[0] if len(found) == 1 else None

    return wait_for("one leader", one)


def all_ready(machines):
    try:
        wait_for("all nodes to be ready", lambda: all(machine.is_ready() for machine in machines))
    except AssertionError:
        for machine in machines:
            print(f"{machine.name} says {machine.page('/cluster')}", file=sys.stderr)
        raise


def set_up(machines, networks):
    for machine in machines:
        machine.start_nats()

    def has_meta_leader():
        _, body = machines[0].ask("GET", "http://10.77.2.1:8222/jsz", timeout=3)
        return json.loads(body).get("meta_cluster", {}).get("leader") and all(
            machine.ask("GET", f"http://10.77.2.{machine.at + 1}:8222/healthz", timeout=3)[0] == 200
            for machine in machines)

    wait_for("the servers of NATS", has_meta_leader)
    first = machines[0]
    made = subprocess.run(first.command(first.recant, "cluster", "init", "--data-dir", first.data),
                          env=first.environment, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    for machine in machines:
        machine.start_node()
    all_ready(machines)
    # Something to make lists of.
    chance = random.Random(3)
    rows = [{"user": f"kept-{number % 20}", "item": f"itm-{chance.randrange(ITEMS)}"} for number in range(KEPT)]
    status, body = first.ask("POST", f"{first.url}/interactions", {"interactions": rows})
    assert status == 202, body


def one_cut(kind, machines, networks, watch):
    leader = the_leader(machines)
    followers = [machine for machine in machines if machine is not leader]
    if kind == "log-leader":
        victim = wait_for("a leader of the log", lambda: next((it for it in machines if it.leads_log()), None))
    else:
        victim = leader if kind.endswith("leader") else followers[0]
    others = [machine for machine in machines if machine is not victim]
    is_alone = kind in ("leader", "follower")
    begun = time.monotonic()
    for bridge in ["nodes"] if kind.startswith("nodes") else ["log"] if kind.startswith("log") else ["nodes", "log"]:
        networks.cut(bridge, victim.at)
    try:
        # Writers of the side that is left, or of any where only one network is cut.
        asked = others if is_alone else machines
        if is_alone:
            wait_for(f"writes after {kind}", lambda: back_after(begun, asked, watch.additions), CUT_SECONDS)
        time.sleep(max(0, begun + CUT_SECONDS - time.monotonic()))
        back, erased = back_after(begun, asked, watch.additions), back_after(begun, asked, watch.erasures)
        last = watch.last_read[victim.at] - begun
        if is_alone:
            assert last <= LEASE + SLACK, f"{victim.name} answered a reader {last:.1f} s after it was cut off"
            alone = back_after(begun, [victim], watch.additions)
            assert alone is None, f"{victim.name} alone acknowledged a write {alone:.1f} s after it was cut off"
    finally:
        networks.mend()
    mended = time.monotonic()
    all_ready(machines)
    after = time.monotonic() - mended
    shown = lambda seconds: "not within the cut" if seconds is None else f"after {seconds:.1f} s"
    print(f"{kind}: {victim.name} cut off, writes back {shown(back)}, erasures {shown(erased)}; its last reader "
          f"was answered {last:.1f} s after the cut; all ready {after:.1f} s after it was mended", flush=True)
    check(watch, machines)


def back_after(begun, machines, taken):
    """Seconds until a request was acknowledged that was sent after the cut, or rather after the moment in which
    what was under way may still have come through."""
    moments = [acknowledged - begun for machine in machines for sent, acknowledged in list(taken[machine.at])
               if sent > begun + 0.5]
    return min(moments, default=None)


def check(watch, machines):
    assert not watch.faults, watch.faults[:5]
    for machine in machines:
        ended = [process.args for process in machine.processes if process.poll() is not None]
        assert not ended, f"{machine.name}: {ended} ended"


def lists(machine):
    found = []
    for number in range(20):
        _, body = machine.ask("GET", f"{machine.url}/recommend?user=kept-{number}&k=20")
        answer = json.loads(body)
        items = sorted((item["score"], item["item"]) for item in answer["items"])
        found.append((answer["model_version"], items))
    return found


def are_alike(machines):
    made = [lists(machine) for machine in machines]
    return all(one == made[0] for one in made)


def main():
    if os.geteuid():
        skip("it needs root")
    nats = os.environ.get("RECANT_NATS_SERVER") or shutil.which("nats-server")
    for tool in ("ip", "openssl"):
        if not shutil.which(tool):
            skip(f"it needs {tool}")
    if not nats:
        skip("it needs nats-server, in RECANT_NATS_SERVER or on the path")
    version = re.search(r"v(\d+)\.(\d+)", run(nats, "--version").stdout)
    if not version or tuple(map(int, version.groups())) < (2, 14):
        skip("it needs nats-server 2.14 or later")
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    recant, cuts = os.path.abspath(sys.argv[1]), sys.argv[2:] or CUTS
    unknown = set(cuts) - set(CUTS)
    if unknown:
        sys.exit(f"no such cut: {', '.join(unknown)}; there are {', '.join(CUTS)}")
    # Also when it is told to end, everything is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    networks, machines = Networks(), []
    folder = tempfile.mkdtemp(prefix="cluster-netns-")
    is_good = False
    try:
        try:
            networks.make()
        except RuntimeError as error:
            skip(f"no network namespaces: {error}")
        machines += [Machine(at, networks.machine(at), folder, recant, nats) for at in range(MACHINES)]
        certificates(folder, machines)
        set_up(machines, networks)
        cut_all(cuts, machines, networks)
        is_good = True
    finally:
        for machine in machines:
            machine.stop()
        networks.remove()
        if is_good:
            shutil.rmtree(folder)
        else:
            print(f"logs are in {folder}", file=sys.stderr)


def cut_all(cuts, machines, networks):
    watch = Watch()
    readers = [Reader(machine, watch, machine.at) for machine in machines]
    adders = [Writer(machine, watch, machine.at) for machine in machines]
    writers = adders + [Writer(machine, watch, MACHINES + it.number, it) for machine, it in zip(machines, adders)]
    for thread in readers + writers:
        thread.start()
    try:
        time.sleep(2)
        for kind in cuts:
            one_cut(kind, machines, networks, watch)
    finally:
        watch.stop.set()
        for thread in readers + writers:
            thread.join(60)
    leader = the_leader(machines)
    checked = sum(adder.check(leader) for adder in adders)
    check(watch, machines)
    wait_for("all nodes to make the same lists", lambda: are_alike(machines))
    acknowledged, still_open = sum(it.acknowledged for it in writers), sum(it.open for it in writers)
    reads = sum(counter[200] for counter in watch.reads)
    print(f"{len(cuts)} cuts, {acknowledged} acknowledged requests and {still_open} others, {checked} pairs as they "
          f"have to be, {reads} lists, none stale; all nodes make the same lists")


main()
