"""The Data Rights Protocol with PyNaCl, whose `crypto_sign` the protocol's own examples use."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from conftest import Server, until

signing = pytest.importorskip("nacl.signing", reason="PyNaCl is not installed")
Base64Encoder = pytest.importorskip("nacl.encoding").Base64Encoder

KEY = signing.SigningKey.generate()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that knows one agent."""
    folder = tmp_path_factory.mktemp("drp")
    key = KEY.verify_key.encode(Base64Encoder).decode()
    text = (
        '[drp]\nenabled = true\nbusiness_id = "SHOP"\nuser_claim = "email"\n'
        'api_base = "https://shop.example"\n'
        f'[[drp.agents]]\nid = "AA"\nverify_key = "{key}"\n'
    )
    configuration = folder / "recant.toml"
    configuration.write_text(text)
    server = Server(folder, configuration, {})
    try:
        server.until_ready()
        yield server
    finally:
        server.stop()


def signed(**more: Any) -> bytes:
    now = datetime.now(UTC)
    message = {
        "agent-id": "AA",
        "business-id": "SHOP",
        "issued-at": now.isoformat(),
        "expires-at": (now + timedelta(minutes=10)).isoformat(),
        "drp.version": "1.0",
    } | more
    return KEY.sign(json.dumps(message).encode(), encoder=Base64Encoder)


def ask(server: Server, method: str, path: str, token: str, body: bytes | None) -> tuple[int, Any]:
    headers = {"Content-Type": "text/plain", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(
        f"http://{server.address}{path}", data=body, headers=headers, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def test_what_libsodium_signs_is_carried_out(server: Server) -> None:
    status, setup = ask(server, "POST", "/v1/agent/AA", "", signed())
    assert status == 200
    token = setup["token"]
    person = {"email": "ada@example.org", "email_verified": True}
    request = signed(exercise="deletion", regime="ccpa", relationships=["customer"], **person)
    status, first = ask(server, "POST", "/v1/data-rights-request", token, request)
    assert (status, first["status"]) == (200, "in_progress")
    path = f"/v1/data-rights-request/{first['request_id']}"
    until(
        lambda: ask(server, "GET", path, token, None)[1]["status"] == "fulfilled",
        "a request that is fulfilled",
    )
    unverified = signed(exercise="deletion", email="ada@example.org")
    status, error = ask(server, "POST", "/v1/data-rights-request", token, unverified)
    assert (status, error["code"]) == (400, "400")
    access = signed(exercise="access", regime="ccpa", **person)
    status, found = ask(server, "POST", "/v1/data-rights-request", token, access)
    assert (status, found["status"]) == (200, "fulfilled")
    results = found["results_url"].removeprefix("https://shop.example")
    held = {"user": "ada@example.org", "properties": {}, "interactions": []}
    assert ask(server, "GET", results, token, None) == (200, held)
    assert Path(server.folder / "log").read_text().count("ada@example.org") == 0
