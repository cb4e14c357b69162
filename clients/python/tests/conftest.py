"""Real servers, started from the binary that `RECANT_BINARY` names, and both clients of them.

Every test that takes `client` runs with each of the two: the asynchronous one goes through `Awaited`,
which waits for what it returns.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import inspect
import os
import re
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import httpx
import pytest

from recant_client import AsyncClient, AsyncErasure, Client, ExportedInteraction, Id

T = TypeVar("T")

ADMIN, READER, ERASER = "key-of-the-admin", "key-of-a-reader", "key-of-an-eraser"
USERS, ITEMS = 160, 30


class Server:
    """A process that serves, and where."""

    def __init__(self, *arguments: str, folder: Path) -> None:
        binary = os.environ.get("RECANT_BINARY")
        if binary is None:
            raise pytest.UsageError("RECANT_BINARY must name the program to test against")
        self.binary = binary
        self.log = folder / "log"
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [binary, *arguments, "--listen", "127.0.0.1:0"],
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
            raise AssertionError(f"the server did not start: {self.log.read_text()}")

    def stop(self) -> None:
        """Ends the process and waits for its end."""
        self._process.terminate()
        self._process.communicate(timeout=60)


def write_data(folder: Path, settings: str) -> None:
    """Interactions of some groups of users, a catalogue, and a configuration with keys and `settings`."""
    with (folder / "rows.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["user_id", "item_id"])
        for user in range(USERS):
            liked = {(user * 7 + item * item) % ITEMS for item in range(10)}
            rows.writerows([f"u{user}", f"i{item}"] for item in sorted(liked))
    with (folder / "items.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["item_id", "title", "tags"])
        for item in range(ITEMS):
            rows.writerow([f"i{item}", f"Item {item}", "even" if item % 2 == 0 else "odd"])
    with (folder / "keys.toml").open("w") as file:
        file.write("[feedback.types.view]\nweight = 0.5\n[feedback.types.dislike]\ntarget = 0.0\n")
        for key, role in ((ADMIN, "admin"), (READER, "read"), (ERASER, "erase")):
            digest = hashlib.sha256(key.encode()).hexdigest()
            file.write(
                f'[[access.keys]]\nname = "{role}"\nsha256 = "{digest}"\nroles = ["{role}"]\n'
            )
        file.write(settings)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with keys and a small data set, for all tests: each takes users of its own."""
    yield from serve(tmp_path_factory.mktemp("server"))


def serve(folder: Path, settings: str = "") -> Iterator[Server]:
    """A server with keys, a small data set and these settings in a folder, until it is let go of."""
    write_data(folder, settings)
    binary = os.environ.get("RECANT_BINARY", "recant")
    command = [binary, "import", "rows.csv", "--items", "items.csv", "--data-dir", "data"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    server = Server("serve", "--data-dir", "data", "--config", "keys.toml", folder=folder)
    try:
        with Client(server.url, http=plain()) as client:
            client.wait_until_ready(60)
        yield server
    finally:
        server.stop()


def plain() -> httpx.Client:
    """A client that takes no proxy from the environment."""
    return httpx.Client(trust_env=False)


class Awaited:
    """An asynchronous client, or a part of it, that waits for whatever its calls return."""

    def __init__(self, inner: object, runner: asyncio.Runner) -> None:
        self._inner = inner
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not callable(value):
            return self._wrapped(value)

        def call(*args: Any, **kwargs: Any) -> Any:
            returned = value(*args, **kwargs)
            if inspect.isawaitable(returned):
                return self._wrapped(self._runner.run(_wait(returned)))
            if isinstance(returned, AsyncIterator):
                return iter(self._runner.run(_collect(returned)))
            return returned

        return call

    def _wrapped(self, value: Any) -> Any:
        is_part = isinstance(value, AsyncErasure) or type(value).__module__ == "recant_client.aio"
        return Awaited(value, self._runner) if is_part else value


async def _wait(awaitable: Any) -> Any:
    return await awaitable


async def _collect(values: AsyncIterator[Any]) -> list[Any]:
    return [value async for value in values]


class Clients:
    """Makes clients of one kind, and closes them."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._runner = asyncio.Runner()
        self._made: list[Any] = []

    def __call__(self, url: str, **options: Any) -> Client:
        made: Any
        if self._kind == "blocking":
            made = Client(url, http=plain(), **options)
        else:
            http = httpx.AsyncClient(trust_env=False)
            made = Awaited(AsyncClient(url, http=http, **options), self._runner)
        self._made.append(made)
        return cast(Client, made)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Waits for a coroutine."""
        return self._runner.run(coroutine)

    def close(self) -> None:
        """Closes them all."""
        for made in self._made:
            made.close()
        self._runner.close()


@pytest.fixture(params=["blocking", "awaiting"])
def clients(request: pytest.FixtureRequest) -> Iterator[Clients]:
    """Makes clients of either kind."""
    clients = Clients(request.param)
    yield clients
    clients.close()


@pytest.fixture
def client(clients: Clients, server: Server) -> Client:
    """A client of the server that may do everything."""
    return clients(server.url, api_key=ADMIN)


def did(client: Client, user: Id) -> list[ExportedInteraction]:
    """What is held of what a user did."""
    return [row for row in client.export(user) if isinstance(row, ExportedInteraction)]


def until(condition: Callable[[], bool]) -> None:
    """Waits until a condition holds: what is added is learnt in the background."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it does not come to hold"
        time.sleep(0.01)


#: Users of the data set whom no test changes.
READERS = [f"u{user}" for user in range(USERS - 5, USERS)]

_users = iter(range(USERS - len(READERS)))


@pytest.fixture
def somebody() -> str:
    """A user of the data set whom no other test takes."""
    return f"u{next(_users)}"
