"""Webhooks as a receiver in another language checks them: by the words of Standard Webhooks and a library
for Ed25519 alone."""

from __future__ import annotations

import base64
import json
import queue
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recant_client import Client, Names

from .conftest import ADMIN, plain, serve

STATES = ["accepted", "erased", "forgotten", "certified"]
Message = tuple[Mapping[str, str], bytes]


class Receiver(ThreadingHTTPServer):
    """Takes everything, on a port of its own."""

    def __init__(self) -> None:
        self.messages: queue.Queue[Message] = queue.Queue()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.messages.put((headers, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def check(key: str, headers: Mapping[str, str], body: bytes) -> None:
    """Raises unless the message is signed with the key, and of now."""
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.removeprefix("whpk_")))
    assert abs(time.time() - int(headers["webhook-timestamp"])) < 300
    version, signature = headers["webhook-signature"].split(",")
    assert version == "v1a"
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    public.verify(base64.b64decode(signature), signed)


def test_messages_are_checked_by_the_words_of_the_standard(tmp_path: Path) -> None:
    with Receiver() as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        settings = (
            f'[[webhooks]]\nname = "shop"\nurl = "{receiver.url}"\n'
            "allow_internal = true\nevery_seconds = 1\n"
        )
        for server in serve(tmp_path, settings):
            with plain() as http:
                headers = {"authorization": f"Bearer {ADMIN}"}
                shown = http.get(f"{server.url}/webhooks", headers=headers).json()
            key = shown["webhooks"][0]["public_key"]
            assert key.startswith("whpk_")
            with Client(server.url, api_key=ADMIN, http=plain()) as client:
                erasure = client.erase(Names(users=["u1"]))
            for state in STATES:
                got, body = receiver.messages.get(timeout=60)
                check(key, got, body)
                message = json.loads(body)
                assert message["type"] == f"erasure.{state}"
                assert message["data"]["id"] == str(erasure.id)
                assert got["webhook-id"] == f"{erasure.id}_{state}"
                with pytest.raises(InvalidSignature):
                    check(key, got, body.replace(b"erasure", b"Erasure"))
        receiver.shutdown()
