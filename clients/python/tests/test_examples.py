"""The examples of the README and of the folder `examples`, as they stand there, against the demo."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recant_client import Client

from .conftest import Server, plain

HERE = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server("demo", folder=tmp_path_factory.mktemp("demo"))
    try:
        with Client(server.url, http=plain()) as client:
            client.wait_until_ready(60)
        yield server
    finally:
        server.stop()


def blocks() -> list[str]:
    text = (HERE / "README.md").read_text()
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def run(program: str, *arguments: str) -> str:
    environment = {**os.environ, "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readme_says_what_runs(demo: Server) -> None:
    assert len(blocks()) >= 3
    for block in blocks():
        run(block.replace("http://127.0.0.1:8080", demo.url))


def test_the_example_erases_and_verifies(demo: Server) -> None:
    program = (HERE / "examples" / "erase_and_verify.py").read_text()
    assert "the receipt holds" in run(program, demo.url, "ada-0001")
