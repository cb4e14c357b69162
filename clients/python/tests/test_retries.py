"""What a client does when the service is busy, breaks off, or is not there. The service here is a
script of answers behind a real socket."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from recant_client import (
    Client,
    ErasureNotFound,
    Interaction,
    Item,
    NoAnswerError,
    ReceiptNotReady,
    Retries,
    Unavailable,
    UnexpectedAnswer,
    WriteInterrupted,
)

from .conftest import Clients

QUICK = Retries(attempts=3, first_pause=0.001, longest_pause=0.002, patience=1.0)
ACCEPTED = {
    "id": "019381e4-6c1c-7a51-a38b-8f0e6a4b6f3a",
    "status": "accepted",
    "accepted_at": "2026-01-31T12:00:00.000Z",
    "receipt_salt": "kZ0yqk3mKQf0vQ7tq1mC0f3n0oZ5o2jH1bq8cJx3A2E",
}
Scripted = tuple[int, dict[str, str], bytes]

#: An answer of the script that is none: the connection ends.
CUT: Scripted = (0, {}, b"")


def ok(body: object) -> Scripted:
    return 200, {"content-type": "application/json"}, json.dumps(body).encode()


def problem(status: int, code: str, **headers: str) -> Scripted:
    body = {"type": "urn:x", "title": "T", "status": status, "code": code, "detail": "mend it"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {"content-type": "application/problem+json", **named}, json.dumps(body).encode()


class Script:
    """Answers one request after the other, and keeps what was asked."""

    def __init__(self) -> None:
        self.answers: list[Scripted] = []
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                script.asked.append((self.command, self.path, headers, body))
                status, headers, body = script.answers.pop(0)
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()
    yield script
    script.close()


@pytest.fixture
def client(script: Script, clients: Clients) -> Client:
    return clients(script.url, retries=QUICK)


def test_an_erasure_keeps_its_key_over_all_attempts(script: Script, client: Client) -> None:
    script.answers = [problem(503, "store_stalled"), CUT, ok(ACCEPTED)]
    erasure = client.erase_user("ada")
    keys = {headers["idempotency-key"] for _, _, headers, _ in script.asked}
    assert keys == {erasure.idempotency_key} and len(script.asked) == 3
    assert {body for _, _, _, body in script.asked} == {b'{"users":["ada"]}'}


def test_a_pause_that_the_service_asks_for_is_kept(script: Script, client: Client) -> None:
    script.answers = [problem(429, "rate_limited", Retry_After="1"), ok({"keys": []})]
    assert client.jwks() == {"keys": []}
    script.answers = [problem(503, "overloaded", Retry_After="7200")]
    with pytest.raises(Unavailable) as patience:
        client.jwks()
    assert (patience.value.retry_after, patience.value.code) == (7200, "overloaded")


def test_attempts_come_to_an_end(script: Script, client: Client) -> None:
    script.answers = [problem(503, "starting")] * 3
    with pytest.raises(Unavailable, match="503 starting: mend it"):
        client.model()
    assert len(script.asked) == 3


def test_what_may_have_been_counted_is_not_sent_again(script: Script, client: Client) -> None:
    done = ok({"accepted": 1, "held_back": 0, "rejected": []})
    nothing_done_codes = ("overloaded", "no_leader", "not_current")
    for nothing_done in (
        *[problem(503, code) for code in nothing_done_codes],
        problem(429, "rate_limited"),
    ):
        script.answers = [nothing_done, done]
        assert client.interactions.add("ada", "dune").accepted == 1
    unknown_codes = ("timed_out", "store_stalled", "leadership_lost")
    for unknown in (CUT, *[problem(503, code) for code in unknown_codes]):
        script.asked.clear()
        script.answers = [unknown, done]
        with pytest.raises((NoAnswerError, Unavailable)):
            client.interactions.add("ada", "dune")
        assert len(script.asked) == 1


def test_a_stream_that_stops_says_how_far_it_came(script: Script, client: Client) -> None:
    rejected = [{"index": 1, "reason": "title must be a text"}]
    script.answers = [ok({"accepted": 1, "rejected": rejected}), *[CUT] * 3]
    with pytest.raises(WriteInterrupted) as stopped:
        client.items.put_many([Item("a"), Item("b"), Item("c"), Item("d")], batch=2)
    assert (stopped.value.written.rows, stopped.value.unknown) == (2, 2)
    assert isinstance(stopped.value.__cause__, NoAnswerError) and stopped.value.__cause__.sent
    _, _, headers, body = script.asked[1]
    assert headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line)["id"] for line in body.splitlines()] == ["c", "d"]


def test_large_rows_make_smaller_requests(script: Script, client: Client) -> None:
    script.answers = [ok({"accepted": 2, "held_back": 0, "rejected": []})] * 2
    rows = [Interaction("u" * 1_500_000, f"i{row}") for row in range(4)]
    assert client.interactions.add_many(rows).accepted == 4
    assert [body.count(b"\n") + 1 for _, _, _, body in script.asked] == [2, 2]


def test_other_errors_are_raised_at_once(script: Script, client: Client) -> None:
    script.answers = [problem(409, "receipt_not_ready"), problem(404, "erasure_not_found")]
    with pytest.raises(ReceiptNotReady):
        client.receipt("x")
    with pytest.raises(ErasureNotFound):
        client.erasures.get("x")


def test_an_answer_of_something_else_is_told_apart(script: Script, client: Client) -> None:
    page = (200, {"content-type": "text/html"}, b"<html>")
    script.answers = [page, ok([]), ok({"version": "1"}), (404, {}, b"gone")]
    for _ in range(4):
        with pytest.raises(UnexpectedAnswer):
            client.model()
    script.answers = [(502, {}, b"<html>"), ok({"keys": []})]
    assert client.jwks() == {"keys": []}


def test_a_broken_off_answer_for_many_is_no_answer(script: Script, client: Client) -> None:
    line = json.dumps({"user": "a", "model_version": 1, "source": "model", "items": []}).encode()
    for body in (line + b"\n", line + b"\n" + line):
        script.answers = [(200, {"content-type": "application/x-ndjson"}, body)]
        with pytest.raises(UnexpectedAnswer, match="broke off"):
            list(client.recommend_many(["a", "b"]))


def test_a_wait_asks_the_service_to_wait_and_then_asks_how_it_is(
    script: Script, client: Client
) -> None:
    times = dict.fromkeys(["erased_at", "forgotten_at", "certified_at"])
    state = {**ACCEPTED, **times, "status": "forgotten"}
    script.answers = [ok(ACCEPTED), ok(ACCEPTED | {"status": "forgotten"}), ok(state), ok(state)]
    script.answers.append(ok(state | {"status": "certified"}))
    erasure = client.erase_item("dune")
    assert erasure.wait_until_certified(100).is_certified
    first, again, *looks = script.asked
    assert again[2]["idempotency-key"] == first[2]["idempotency-key"]
    assert "prefer" not in first[2] and again[2]["prefer"] == "wait=60"
    assert [look[:2] for look in looks] == [("GET", f"/erasures/{ACCEPTED['id']}")] * 3


def test_nobody_there_is_told_apart_from_no_answer(clients: Clients) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    client = clients(url, retries=QUICK)
    with pytest.raises(NoAnswerError) as nobody:
        client.erase_user("ada")
    assert not nobody.value.sent and "ada" not in str(nobody.value)
    with pytest.raises(NoAnswerError):
        client.wait_until_ready(0.05)


def test_health_says_what_is_amiss(script: Script, client: Client) -> None:
    script.answers = [problem(503, "worker_stopped"), problem(503, "starting")]
    health = client.health()
    assert (health.alive, health.ready, health.reason) == (False, False, "mend it")


def test_a_url_must_be_one() -> None:
    with pytest.raises(ValueError, match="http"):
        Client("localhost:8080")
