"""A server from the binary that `RECANT_BINARY` names, with films, and both clients of PyGorse."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from gorse import AsyncGorse, Gorse

import movielens
from movielens import Films

#: One key for everything, and one for a program that reads nothing of people.
ADMIN, PROGRAM = "key-of-the-admin", "key-of-a-program"

CONFIGURATION = """
[gorse]
enabled = true

[model]
lambda = 0.1

[feedback.types.star]
[feedback.types.like]
[feedback.types.watch]
[feedback.types.read]
weight = 0.1
target = 0.0
"""

#: Rows of one request.
ROWS_AT_ONCE = 5_000


class Server:
    """A process that serves, and where."""

    def __init__(self, folder: Path) -> None:
        self.binary = os.environ["RECANT_BINARY"]
        self.folder = folder
        with (folder / "gorse.toml").open("w") as file:
            file.write(CONFIGURATION)
            for key, roles in ((ADMIN, '"admin"'), (PROGRAM, '"read", "write", "erase"')):
                digest = hashlib.sha256(key.encode()).hexdigest()
                file.write(f'[[access.keys]]\nname = "{key}"\nsha256 = "{digest}"\n')
                file.write(f"roles = [{roles}]\n")
        command = [self.binary, "serve", "--data-dir", "data", "--config", "gorse.toml"]
        with (folder / "log").open("w") as log:
            self._process = subprocess.Popen(
                [*command, "--listen", "127.0.0.1:0"],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := re.search(r"listens on (http://\S+)", line):
                self.url = found.group(1)
                break
        else:
            raise AssertionError(f"the server did not start: {(folder / 'log').read_text()}")

    def get(self, path: str) -> requests.Response:
        """What a path is answered with, the client's key in the client's header."""
        return requests.get(self.url + path, headers={"X-API-Key": ADMIN}, timeout=60)

    def stop(self) -> None:
        """Ends the process and waits for its end."""
        self._process.terminate()
        self._process.communicate(timeout=60)


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Films:
    """What is loaded, with users and items in the order that pages have."""
    real = os.environ.get("RECANT_ML100K")
    folder = Path(real) if real else tmp_path_factory.mktemp("films")
    if not real:
        movielens.make_up(folder)
    films = movielens.read(folder)
    users = sorted(films.users, key=lambda user: user["UserId"].encode())
    return Films(
        users, sorted(films.items, key=lambda item: item["ItemId"].encode()), films.feedback
    )


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, films: Films) -> Iterator[Server]:
    """A server that was filled through its clients alone."""
    server = Server(tmp_path_factory.mktemp("server"))
    try:
        until(lambda: server.get("/api/health/ready").status_code == 200)
        gorse = Gorse(server.url, ADMIN)
        assert gorse.insert_users(films.users)["RowAffected"] == len(films.users)
        # This client adds items one by one; others do it so.
        answer = requests.post(
            f"{server.url}/api/items", json=films.items, headers={"X-API-Key": ADMIN}, timeout=60
        )
        assert answer.json() == {"RowAffected": len(films.items)}
        for start in range(0, len(films.feedback), ROWS_AT_ONCE):
            rows = films.feedback[start : start + ROWS_AT_ONCE]
            assert gorse.insert_feedbacks(rows)["RowAffected"] == len(rows)
        until(lambda: server.get("/model").json()["interactions"] == len(films.feedback))
        yield server
    finally:
        server.stop()


class Awaited:
    """The asynchronous client, each call waited for."""

    def __init__(self, inner: AsyncGorse) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            returned = value(*args, **kwargs)
            return asyncio.run(returned) if inspect.iscoroutine(returned) else returned

        return call


@pytest.fixture(params=["Gorse", "AsyncGorse"])
def clients(request: pytest.FixtureRequest, server: Server) -> Callable[[str], Any]:
    """Makes clients of either kind, with a key."""
    if request.param == "Gorse":
        return lambda key: Gorse(server.url, key)
    return lambda key: Awaited(AsyncGorse(server.url, key))


@pytest.fixture
def client(clients: Callable[[str], Any]) -> Any:
    """A client that may do everything."""
    return clients(ADMIN)


def until(condition: Callable[[], bool]) -> None:
    """Waits until a condition holds: what is added is learnt in the background."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it does not come to hold"
        time.sleep(0.01)
