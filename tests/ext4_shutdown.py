#!/usr/bin/env python3
"""Cuts the power of a real file system under a running server, again and again.

    cargo build --release
    sudo tests/ext4_shutdown.py target/release/recant [ROUNDS]

Needs root, a loop device and mkfs.ext4; not part of `cargo test`. Each round mounts an ext4 image,
starts the server on it, puts on load, and calls the ioctl EXT4_IOC_SHUTDOWN without a flush of
the journal: whatever the kernel had not written to the device by then is lost. Then everything
that was acknowledged must be there, and nothing whose erasure was acknowledged. The device's own
cache is not lost, so a missing flush of it would go unnoticed: tests/power_cut.rs covers that.
"""
import fcntl, json, os, random, struct, subprocess, sys, tempfile, threading, time, urllib.request

EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2
CLIENTS, USERS, ITEMS = 4, 5, 7
PRESENT, GONE, UNKNOWN = "present", "gone", "unknown"


def call(port, method, path, body=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, data=data, timeout=20) as answer:
        return answer.status, answer.read().decode()


class Client:
    def __init__(self, number, seed):
        self.number, self.random, self.pairs, self.acknowledged = number, random.Random(seed), {}, 0

    def pair(self):
        return f"usr-{self.number}-{self.random.randrange(USERS)}", f"itm-{self.number}-{self.random.randrange(ITEMS)}"

    def attempt(self, pairs, state, *request):
        for pair in pairs:
            self.pairs[pair] = UNKNOWN
        call(*request)
        for pair in pairs:
            self.pairs[pair] = state
        self.acknowledged += 1

    def run(self, port):
        try:
            while True:
                kind, (user, item) = self.random.random(), self.pair()
                if kind < 0.55:
                    pairs = list({self.pair() for _ in range(3)})
                    body = {"interactions": [{"user": u, "item": i} for u, i in pairs]}
                    self.attempt(pairs, PRESENT, port, "POST", "/interactions", body)
                elif kind < 0.85:
                    self.attempt([(user, item)] if (user, item) in self.pairs else [], GONE, port,
                                 "DELETE", f"/interactions?user={user}&item={item}")
                elif kind < 0.95:
                    self.attempt([p for p in self.pairs if p[0] == user], GONE, port, "DELETE", f"/interactions?user={user}")
                else:
                    self.attempt([p for p in self.pairs if p[1] == item], GONE, port, "DELETE", f"/interactions?item={item}")
        except OSError:
            return  # The power is off: what was asked last is unknown.

    def check(self, port):
        held = 0
        for user in {user for user, _ in self.pairs}:
            lines = call(port, "GET", f"/export?user={user}")[1].splitlines()
            found = {json.loads(line)["item"] for line in lines}
            for pair in [p for p in self.pairs if p[0] == user]:
                is_there = pair[1] in found
                if self.pairs[pair] != UNKNOWN:
                    assert is_there == (self.pairs[pair] == PRESENT), f"{pair} is {self.pairs[pair]}, found: {is_there}"
                self.pairs[pair] = PRESENT if is_there else GONE
            held += len(found)
        return held


def start(binary, data, log):
    server = subprocess.Popen([binary, "serve", "--data-dir", data, "--listen", "127.0.0.1:0"],
                              stdout=subprocess.PIPE, stderr=log, text=True, env={
                                  **os.environ, "RECANT__MODEL__DIM": "4", "RECANT__STORE__FREE_SPACE_MIN_BYTES": "0",
                                  "RECANT__STORE__COMPACT_AFTER_ERASURES": "20"})
    port = int(server.stdout.readline().rsplit(":", 1)[1])
    while True:
        assert server.poll() is None, f"the server ended with {server.returncode}; see the log"
        try:
            call(port, "GET", "/readyz")
            return server, port
        except OSError:
            time.sleep(0.02)


def settle(port):
    erasure = json.loads(call(port, "DELETE", "/interactions?user=nobody-at-all")[1])["id"]
    while json.loads(call(port, "GET", f"/erasures/{erasure}")[1])["status"] not in ("forgotten", "certified"):
        time.sleep(0.005)


def check(clients, port):
    settle(port)
    held = sum(client.check(port) for client in clients)
    model = json.loads(call(port, "GET", "/model")[1])
    assert model["interactions"] == held, (model["interactions"], held)


def main():
    binary, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 25
    moments, clients = random.Random(7), [Client(number, number) for number in range(CLIENTS)]
    with tempfile.TemporaryDirectory() as folder:
        image, mount = os.path.join(folder, "image"), os.path.join(folder, "mount")
        os.mkdir(mount)
        with open(image, "wb") as file:
            file.truncate(512 << 20)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        log = open(os.path.join(tempfile.gettempdir(), "ext4_shutdown.log"), "w")
        for number in range(rounds + 1):
            subprocess.run(["mount", "-o", "loop", image, mount], check=True)
            server, port = start(binary, os.path.join(mount, "data"), log)
            try:
                check(clients, port)
                if number == rounds:
                    break
                threads = [threading.Thread(target=client.run, args=(port,)) for client in clients]
                [thread.start() for thread in threads]
                time.sleep(moments.uniform(0.05, 0.6))
                disk = os.open(mount, os.O_RDONLY)
                fcntl.ioctl(disk, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
                os.close(disk)
                server.kill()
                [thread.join() for thread in threads]
            finally:
                server.kill()
                server.wait()
                subprocess.run(["umount", mount], check=True)
    acknowledged = sum(client.acknowledged for client in clients)
    print(f"{rounds} power cuts, {acknowledged} acknowledged requests: none lost, nothing came back")


main()
