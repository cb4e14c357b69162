"""How every call is made: sent, again where that is safe and may help, and read."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ._encode import json_bytes
from ._fields import Fields
from ._routes import Route
from ._steps import END, TAKE, Answer, Emit, Flow, NoAnswer, Pause, Request, Stream
from .errors import (
    NoAnswerError,
    Problem,
    RecantError,
    Unavailable,
    UnexpectedAnswer,
    WriteInterrupted,
    problem_class,
)
from .models import Written

T = TypeVar("T")

JSON = {"content-type": "application/json"}
_LINES = {"content-type": "application/x-ndjson"}

#: Most users, items, interactions or names that one request may hold.
_REQUEST_ROWS_MAX = 10_000
#: A request of rows is sent when it has so many bytes; the service takes 8 MiB unless told otherwise.
_REQUEST_BYTES = 4 * 1024 * 1024
#: Codes of refusals after which it is certain that nothing was done.
_NOTHING_DONE = ("overloaded", "starting", "stopping", "no_leader", "not_current")


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a request is sent when the service is busy or cannot be reached, and how far apart.

    The pauses double from `first_pause` to `longest_pause`, each shortened by chance by up to a half,
    so that many clients do not come back at one moment. A pause that the service asks for
    (`Retry-After`) is kept, unless it is longer than `patience`: then the error is raised at once.
    """

    attempts: int = 5
    first_pause: float = 0.1
    longest_pause: float = 5.0
    patience: float = 30.0

    def pause(self, attempt: int) -> float:
        """Seconds between this attempt, the first being 1, and the next."""
        longest = min(self.longest_pause, self.first_pause * 2.0 ** (attempt - 1))
        return longest * random.uniform(0.5, 1.0)


class Asking:
    """Asks one service."""

    def __init__(self, retries: Retries) -> None:
        self._retries = retries

    def ask(self, request: Request, read: Callable[[Answer], T]) -> Flow[T]:
        """Sends a request, again where that is safe and may help, and reads the answer."""
        for attempt in range(1, self._retries.attempts + 1):
            reply: Answer | NoAnswer = yield request
            if isinstance(reply, Answer) and reply.status < 300:
                return read(reply)
            error = error_of(request, reply)
            pause = max(self._retries.pause(attempt), getattr(error, "retry_after", None) or 0.0)
            if (
                attempt == self._retries.attempts
                or pause > max(self._retries.patience, self._retries.longest_pause)
                or not _may_repeat(request, error)
            ):
                raise error
            yield Pause(pause)
        raise ValueError("Retries.attempts must be at least 1")

    def write(self, request: Request, rows: Callable[[Any], bytes], most: int) -> Flow[Written]:
        """Streams rows in, as requests of `most` lines or a few MiB."""
        check_batch(most)
        written, lines, size = Written(), list[bytes](), 0
        value = yield TAKE
        while value is not END or lines:
            line = b"" if value is END else rows(value)
            is_full = len(lines) == most or (lines and size + len(line) > _REQUEST_BYTES)
            if is_full or value is END:
                batch = replace(request, headers=_LINES, body=b"\n".join(lines))
                try:
                    answer = yield from self.ask(batch, of_object(Written.read))
                except RecantError as error:
                    raise WriteInterrupted(written, len(lines)) from error
                written, lines, size = written.followed_by(answer), [], 0
            if value is not END:
                lines.append(line)
                size += len(line) + 1
                value = yield TAKE
        return written


def check_batch(batch: int) -> None:
    """Refuses a number of rows a request that the service would."""
    if not 1 <= batch <= _REQUEST_ROWS_MAX:
        raise ValueError(f"batch must be from 1 to {_REQUEST_ROWS_MAX}")


def post(route: Route, body: object) -> Request:
    """A request with a body of JSON."""
    return Request(route, headers=JSON, body=json_bytes(body))


def of_object(read: Callable[[Fields], T]) -> Callable[[Answer], T]:
    """Reads an answer of one object."""
    return lambda answer: read(Fields.of_json(answer.body))


def of_lines(read: Callable[[Fields], T]) -> Callable[[Answer], tuple[T, ...]]:
    """Reads an answer of an object a line."""

    def lines(answer: Answer) -> tuple[T, ...]:
        if answer.body and not answer.body.endswith(b"\n"):
            raise UnexpectedAnswer("the answer broke off within a line")
        return tuple(read(Fields.of_json(line)) for line in answer.body.splitlines())

    return lines


def pages(asking: Asking, request: Request, name: str, read: Callable[[Fields], T]) -> Stream[T]:
    """What is on all pages from this one on."""
    cursor: str | None = None
    while True:
        query = request.query if cursor is None else {**request.query, "cursor": cursor}
        page = yield from asking.ask(
            replace(request, query=query), lambda it: Fields.of_json(it.body)
        )
        for value in page.many(name, read):
            yield Emit(value)
        cursor = page.some_text("next_cursor")
        if cursor is None:
            return


def error_of(
    request: Request, reply: Answer | NoAnswer
) -> Problem | NoAnswerError | UnexpectedAnswer:
    """What a reply that is no success means."""
    if isinstance(reply, NoAnswer):
        kind = type(reply.error).__name__
        return NoAnswerError(
            f"{request.route.method} {request.route.path}: {kind}", sent=reply.sent
        )
    if "problem+json" not in reply.headers.get("content-type", ""):
        return _foreign(reply)
    try:
        fields = Fields.of_json(reply.body)
        code, title = fields.text("code"), fields.text("title")
    except UnexpectedAnswer as error:
        return error
    return problem_class(reply.status, code)(
        reply.status,
        code,
        title,
        fields.some_text("detail") or "",
        retry_after=_retry_after(reply),
        request_id=reply.headers.get("x-request-id"),
    )


def _foreign(reply: Answer) -> Problem | UnexpectedAnswer:
    """An answer of something in between: a proxy that has no service behind it may have one later."""
    if reply.status in (429, 502, 503, 504):
        detail = "something in between answered, not the service"
        return Unavailable(reply.status, "", "", detail, retry_after=_retry_after(reply))
    return UnexpectedAnswer(f"an answer of status {reply.status} that is none of the service's")


def _retry_after(reply: Answer) -> float | None:
    value = reply.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() else None


def _may_repeat(request: Request, error: Exception) -> bool:
    """Whether a request may be sent again, and whether that may help."""
    match error:
        case NoAnswerError():
            return request.repeatable or not error.sent
        case Unavailable():
            nothing_done = error.status == 429 or error.code in _NOTHING_DONE
            return error.code != "worker_stopped" and (request.repeatable or nothing_done)
    return False
