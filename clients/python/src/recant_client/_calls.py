"""The calls of the service as flows: how each is asked, and how its answer is read."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar, Unpack

from . import _encode, _routes
from ._encode import json_bytes
from ._fields import Fields
from ._routes import Route
from ._steps import END, TAKE, Answer, Emit, Flow, NoAnswer, Pause, Request, Stream
from .errors import (
    NoAnswerError,
    Problem,
    RecantError,
    ReceiptError,
    RowsRejected,
    Unavailable,
    UnexpectedAnswer,
    WaitTimeout,
    WriteInterrupted,
    problem_class,
)
from .models import (
    KEEP,
    AcceptedErasure,
    ErasureState,
    ErasureStatus,
    ExportedRow,
    Health,
    Id,
    Interaction,
    Item,
    ItemList,
    Keep,
    Model,
    Names,
    Pair,
    PropertyValue,
    Recommendations,
    Selection,
    SimilarItems,
    Span,
    Time,
    User,
    Written,
    exported_row,
)
from .receipts import Receipt, verify_receipt

T = TypeVar("T")

_JSON = {"content-type": "application/json"}
_LINES = {"content-type": "application/x-ndjson"}

#: Most users, items, interactions or names that one request may hold.
REQUEST_ROWS_MAX = 10_000
#: A request of rows is sent when it has so many bytes; the service takes 8 MiB unless told otherwise.
_REQUEST_BYTES = 4 * 1024 * 1024
#: The longest wait that the service grants.
_WAIT_MAX = 60
#: A repeated request is the same erasure as long as the service remembers its key, which is a day.
_REPEATED_FOR = 60 * 60.0
#: Codes of refusals after which it is certain that nothing was done.
_NOTHING_DONE = ("overloaded", "starting", "stopping")


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


class Calls:
    """The calls of one service."""

    def __init__(self, retries: Retries) -> None:
        self._retries = retries

    # How every call is made.

    def ask(self, request: Request, read: Callable[[Answer], T]) -> Flow[T]:
        """Sends a request, again where that is safe and may help, and reads the answer."""
        for attempt in range(1, self._retries.attempts + 1):
            reply: Answer | NoAnswer = yield request
            if isinstance(reply, Answer) and reply.status < 300:
                return read(reply)
            error = _error(request, reply)
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
        if not 1 <= most <= REQUEST_ROWS_MAX:
            raise ValueError(f"batch must be from 1 to {REQUEST_ROWS_MAX}")
        written, lines, size = Written(), list[bytes](), 0
        value = yield TAKE
        while value is not END or lines:
            line = b"" if value is END else rows(value)
            is_full = len(lines) == most or (lines and size + len(line) > _REQUEST_BYTES)
            if is_full or value is END:
                batch = replace(request, headers=_LINES, body=b"\n".join(lines))
                try:
                    answer = yield from self.ask(batch, _of(Written.read))
                except RecantError as error:
                    raise WriteInterrupted(written, len(lines)) from error
                written, lines, size = written.followed_by(answer), [], 0
            if value is not END:
                lines.append(line)
                size += len(line) + 1
                value = yield TAKE
        return written

    # Lists.

    def recommend(
        self,
        user: Id,
        *,
        exclude_seen: bool = True,
        explain: bool = False,
        as_of: Literal["live", "certified"] = "live",
        **selection: Unpack[Selection],
    ) -> Flow[Recommendations]:
        """The best items for a user. One whom the service does not know gets what is popular.

        `explain` asks what is proven about the list; `as_of="certified"` for the last version whose
        certificate held. `selection`: see `Selection`.
        """
        return self._recommend({"user": user}, exclude_seen, explain, as_of, selection)

    def recommend_session(
        self,
        history: Iterable[Id],
        *,
        exclude_seen: bool = True,
        explain: bool = False,
        as_of: Literal["live", "certified"] = "live",
        **selection: Unpack[Selection],
    ) -> Flow[Recommendations]:
        """The best items for somebody who is known by the items of this session alone."""
        subject = {"history": _encode.listed("history", history)}
        return self._recommend(subject, exclude_seen, explain, as_of, selection)

    def _recommend(
        self,
        subject: Mapping[str, Any],
        exclude_seen: bool,
        explain: bool,
        as_of: str,
        selection: Selection,
    ) -> Flow[Recommendations]:
        body = {**subject, **_encode.selection(selection), "exclude_seen": exclude_seen}
        body |= {"explain": explain, "as_of": as_of}
        return self.ask(_post(_routes.RECOMMEND, body), _of(Recommendations.read))

    def recommend_many(
        self, batch: int, exclude_seen: bool, selection: Selection
    ) -> Stream[Recommendations]:
        """Lists for the users that are streamed in, `batch` of them a request."""
        if not 1 <= batch <= REQUEST_ROWS_MAX:
            raise ValueError(f"batch must be from 1 to {REQUEST_ROWS_MAX}")
        body = {**_encode.selection(selection), "exclude_seen": exclude_seen}
        users: list[Id] = []
        while True:
            user = yield TAKE
            if user is not END:
                users.append(user)
            if users and (user is END or len(users) == batch):
                request = _post(_routes.RECOMMEND, {**body, "users": users})
                lists = yield from self.ask(request, _lines(Recommendations.read))
                if len(lists) != len(users):
                    raise UnexpectedAnswer("the answer broke off: ask for fewer users at once")
                for found in lists:
                    yield Emit(found)
                users = []
            if user is END:
                return

    def similar(
        self, item: Id, *, user: Id | None = None, **selection: Unpack[Selection]
    ) -> Flow[SimilarItems]:
        """The items most similar to one; with `user` without those that the user has."""
        body = {"item": item, **_encode.selection(selection)}
        if user is not None:
            body["user"] = user
        return self.ask(_post(_routes.SIMILAR, body), _of(SimilarItems.read))

    def popular(
        self,
        *,
        window: Span | None = None,
        user: Id | None = None,
        **selection: Unpack[Selection],
    ) -> Flow[ItemList]:
        """The items that most people wanted; with `window` in that time up to now, with `user` without
        those that the user has."""
        return self._list(_routes.POPULAR, {"window": window}, user, selection)

    def trending(
        self,
        *,
        half_life: Span | None = None,
        window: Span | None = None,
        user: Id | None = None,
        **selection: Unpack[Selection],
    ) -> Flow[ItemList]:
        """The items that most people wanted of late: a person counts half as much with each
        `half_life`, three days unless given, that it is ago. Otherwise as `popular`."""
        spans = {"half_life": half_life, "window": window}
        return self._list(_routes.TRENDING, spans, user, selection)

    def latest(
        self,
        *,
        window: Span | None = None,
        user: Id | None = None,
        **selection: Unpack[Selection],
    ) -> Flow[ItemList]:
        """The items that appeared last, whether or not anybody has touched them. Otherwise as
        `popular`."""
        return self._list(_routes.LATEST, {"window": window}, user, selection)

    def _list(
        self,
        route: Route,
        spans: Mapping[str, Span | None],
        user: Id | None,
        selection: Selection,
    ) -> Flow[ItemList]:
        body = _encode.selection(selection)
        body |= {name: _encode.span(span) for name, span in spans.items() if span is not None}
        if user is not None:
            body["user"] = user
        return self.ask(_post(route, body), _of(ItemList.read))

    # Erasures.

    def erase(
        self,
        names: Names,
        *,
        wait: float | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[ErasureCalls]:
        """Erases what is named and makes the model forget it.

        Returns once the request survives a power cut, or with `wait`, in seconds, once the live model
        has forgotten or the time is over. The answer is the same whether or not there was anything to
        erase. The same `idempotency_key` again, within a day, means the same erasure; without one, a
        fresh one is used for all attempts of this call.
        """
        if not len(names):
            raise ValueError("nothing is named")
        return self._erase(_post(_routes.ERASE, _encode.names(names)), names, wait, idempotency_key)

    def erase_user(
        self, user: Id, *, wait: float | None = None, idempotency_key: str | None = None
    ) -> Flow[ErasureCalls]:
        """Erases everything of a user, the id included. Otherwise as `erase`."""
        return self.erase(Names(users=[user]), wait=wait, idempotency_key=idempotency_key)

    def erase_item(
        self, item: Id, *, wait: float | None = None, idempotency_key: str | None = None
    ) -> Flow[ErasureCalls]:
        """Erases every interaction with an item; what is said about it stays (`items.delete` takes
        that too). Otherwise as `erase`."""
        return self.erase(Names(items=[item]), wait=wait, idempotency_key=idempotency_key)

    def erase_interactions(
        self,
        pairs: Iterable[Pair | tuple[Id, Id] | tuple[Id, Id, str]],
        *,
        wait: float | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[ErasureCalls]:
        """Erases these pairs of a user and an item; of one that names a type of feedback too, what is
        of this type. Otherwise as `erase`."""
        names = Names(interactions=_encode.listed("pairs", pairs))
        return self.erase(names, wait=wait, idempotency_key=idempotency_key)

    def _erase(
        self, request: Request, names: Names, wait: float | None, idempotency_key: str | None
    ) -> Flow[ErasureCalls]:
        key = str(uuid.uuid4()) if idempotency_key is None else idempotency_key
        request = replace(request, headers={**request.headers, "idempotency-key": key})
        sent = ErasureRequest(request, names, time.monotonic())
        answer = yield from self.ask(sent.waiting(wait), _of(AcceptedErasure.read))
        return ErasureCalls(self, answer, sent)

    def receipt(self, erasure_id: str) -> Flow[str]:
        """The signed receipt of a certified erasure; `ReceiptNotReady` before."""
        request = Request(_routes.RECEIPT, path_id=erasure_id)
        return self.ask(request, lambda answer: answer.body.decode(errors="replace"))

    def jwks(self) -> Flow[Mapping[str, Any]]:
        """The public keys that receipts are signed with, a JSON Web Key Set."""
        return self.ask(Request(_routes.JWKS), _of(Fields.raw))

    # What is held, and how the service is.

    def put_user(
        self, user: Id, properties: Mapping[str, PropertyValue]
    ) -> Flow[Mapping[str, PropertyValue]]:
        """Says this about a user in place of all that was said before, and returns what is said now,
        durable; with no properties nothing is said any more. The id is in the URL."""
        body = json_bytes({"properties": dict(properties)})
        request = Request(_routes.PUT_USER, _encode.id_text(user), {}, _JSON, body)
        return self.ask(request, _of(lambda fields: fields.mapping("properties")))

    def user(self, user: Id) -> Flow[User]:
        """What is held of a user; `UserNotFound` when nothing is. The id is in the URL."""
        return self.ask(Request(_routes.GET_USER, path_id=_encode.id_text(user)), _of(User.read))

    def users(self, *, page: int = 100) -> Stream[User]:
        """Everybody of whom anything is held, in the order of the bytes of their ids; `page` of them a
        request."""
        return _pages(self, Request(_routes.USERS, query={"limit": str(page)}), "users", User.read)

    def export(self, user: Id) -> Flow[tuple[ExportedRow, ...]]:
        """Everything that is held about a user: what is said about them first, where something is, and
        each interaction. Nothing for one whom the service does not know."""
        return self.ask(_post(_routes.EXPORT, {"user": user}), _lines(exported_row))

    def model(self) -> Flow[Model]:
        """The live model."""
        return self.ask(Request(_routes.MODEL), _of(Model.read))

    def health(self) -> Flow[Health]:
        """How the service is. It is asked once; `NoAnswerError` when it cannot be reached."""
        reasons: list[str | None] = []
        for route in (_routes.ALIVE, _routes.READY):
            request = Request(route)
            reply: Answer | NoAnswer = yield request
            if isinstance(reply, Answer) and reply.status < 300:
                reasons.append(None)
                continue
            error = _error(request, reply)
            if not isinstance(error, Unavailable):
                raise error
            reasons.append(error.detail)
        alive, ready = reasons
        return Health(alive=alive is None, ready=ready is None, reason=alive or ready)

    def wait_until_ready(self, timeout: float = 60.0) -> Flow[None]:
        """Waits until there is a live model; raises what the service last said when it takes longer."""
        request, deadline = Request(_routes.READY), time.monotonic() + timeout
        for pause in _pauses():
            reply: Answer | NoAnswer = yield request
            if isinstance(reply, Answer) and reply.status < 300:
                return
            error, left = _error(request, reply), deadline - time.monotonic()
            if left <= 0 or not isinstance(error, (Unavailable, NoAnswerError)):
                raise error
            yield Pause(min(pause, left))

    def openapi(self) -> Flow[Mapping[str, Any]]:
        """The description of all calls, an OpenAPI document."""
        return self.ask(Request(_routes.OPENAPI), _of(Fields.raw))


class ItemCalls:
    """What is said about items."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def put(self, item: Item) -> Flow[Item]:
        """Says this about an item in place of all that was said before; in every list when it returns."""
        body = _encode.item(item)
        # The path has it already.
        del body["id"]
        request = Request(_routes.PUT_ITEM, _encode.id_text(item.id), {}, _JSON, json_bytes(body))
        return self._calls.ask(request, _of(Item.read))

    def patch(
        self,
        item: Id,
        *,
        title: str | Keep | None = KEEP,
        tags: Iterable[str] | Keep | None = KEEP,
        properties: Mapping[str, PropertyValue | None] | Keep | None = KEEP,
        timestamp: Time | Keep | None = KEEP,
        hidden: bool | Keep | None = KEEP,
    ) -> Flow[Item]:
        """Changes what is named: what is absent stays, `None` clears, of `properties` those that are
        named change."""
        body = json_bytes(_encode.patch(title, tags, properties, timestamp, hidden))
        request = Request(_routes.PATCH_ITEM, _encode.id_text(item), {}, _JSON, body)
        return self._calls.ask(request, _of(Item.read))

    def get(self, item: Id) -> Flow[Item]:
        """What is said about an item."""
        request = Request(_routes.GET_ITEM, path_id=_encode.id_text(item))
        return self._calls.ask(request, _of(Item.read))

    def delete(
        self, item: Id, *, wait: float | None = None, idempotency_key: str | None = None
    ) -> Flow[ErasureCalls]:
        """Erases every interaction with an item and what is said about it. Otherwise as `erase`."""
        request = Request(_routes.DELETE_ITEM, path_id=_encode.id_text(item))
        return self._calls._erase(request, Names(items=[item]), wait, idempotency_key)

    def list(self, *, filter: str | None = None, page: int = 100) -> Stream[Item]:
        """All items, described or known by interactions, in the order of the bytes of their ids;
        `page` of them a request. `filter`: those of which an expression in CEL is true."""
        query = {"limit": str(page)} | ({} if filter is None else {"filter": filter})
        return _pages(self._calls, Request(_routes.ITEMS, query=query), "items", Item.read)

    def put_many(self, batch: int) -> Flow[Written]:
        """Says this about the items that are streamed in."""
        return self._calls.write(Request(_routes.PUT_ITEMS), _item_line, batch)


class InteractionCalls:
    """What people did."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def add(
        self,
        user: Id,
        item: Id,
        *,
        type: str | None = None,
        weight: float | None = None,
        timestamp: Time | None = None,
    ) -> Flow[Written]:
        """Adds one interaction: durable when it returns, learnt in the background. `RowsRejected` when
        the service does not take it."""
        row = Interaction(user, item, type, weight, timestamp)
        body = {"interactions": [_encode.interaction(row)]}
        request = replace(_post(_routes.ADD, body), repeatable=False)
        written = yield from self._calls.ask(request, _of(Written.read))
        if written.rejected:
            raise RowsRejected(written)
        return written

    def add_many(self, batch: int) -> Flow[Written]:
        """Adds the interactions that are streamed in."""
        request = Request(_routes.ADD, repeatable=False)
        return self._calls.write(request, _interaction_line, batch)


class ErasureListCalls:
    """The erasures there are."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def get(self, erasure_id: str) -> Flow[ErasureState]:
        """How far an erasure has come."""
        request = Request(_routes.ERASURE, path_id=erasure_id)
        return self._calls.ask(request, _of(ErasureState.read))

    def list(self, *, status: ErasureStatus | None = None, page: int = 100) -> Stream[ErasureState]:
        """Erasures, newest first, `page` of them a request: all of them for the role `admin`, else
        those that the same key requested."""
        query = {"limit": str(page)} | ({} if status is None else {"status": status})
        request = Request(_routes.ERASURES, query=query)
        return _pages(self._calls, request, "erasures", ErasureState.read)


@dataclass(frozen=True, slots=True)
class ErasureRequest:
    """How an erasure was asked for. Asking again is the same erasure, and a way to wait for it."""

    request: Request
    names: Names
    asked_at: float

    @property
    def idempotency_key(self) -> str:
        """The key under which the service knows the request."""
        return self.request.headers["idempotency-key"]

    @property
    def is_remembered(self) -> bool:
        """Whether the service certainly still knows the key."""
        return time.monotonic() - self.asked_at < _REPEATED_FOR

    def waiting(self, seconds: float | None) -> Request:
        """The request, to be answered when the model has forgotten or after whole `seconds`."""
        if seconds is None or seconds < 1:
            return self.request
        wait = min(_WAIT_MAX, int(seconds))
        headers = {**self.request.headers, "prefer": f"wait={wait}"}
        return replace(self.request, headers=headers, wait=wait)


class ErasureCalls:
    """What there is to ask about one erasure."""

    def __init__(self, calls: Calls, accepted: AcceptedErasure, sent: ErasureRequest) -> None:
        self._calls = calls
        self.accepted = accepted
        self.sent = sent

    def state(self) -> Flow[ErasureState]:
        """How far it has come."""
        return ErasureListCalls(self._calls).get(self.accepted.id)

    def wait_until_forgotten(self, timeout: float = 60.0) -> Flow[ErasureState]:
        """Waits until the live model has forgotten; `WaitTimeout` when that takes longer."""
        return self._wait("forgotten", timeout)

    def wait_until_certified(self, timeout: float = 300.0) -> Flow[ErasureState]:
        """Waits until there is a certificate and a receipt; `WaitTimeout` when that takes longer."""
        return self._wait("certified", timeout)

    def _wait(
        self, wanted: Literal["forgotten", "certified"], timeout: float
    ) -> Flow[ErasureState]:
        deadline = time.monotonic() + timeout
        # The service wakes whoever waits for it to forget; for the certificate it has to be asked.
        while self.sent.is_remembered and (left := deadline - time.monotonic()) >= 1:
            asked, request = time.monotonic(), self.sent.waiting(left)
            answer = yield from self._calls.ask(request, _of(AcceptedErasure.read))
            has_waited = time.monotonic() - asked >= request.wait
            if not has_waited or answer.status in ("forgotten", "certified"):
                break
        for pause in _pauses():
            state = yield from self.state()
            if state.is_certified or (wanted == "forgotten" and state.is_forgotten):
                return state
            left = deadline - time.monotonic()
            if left <= 0:
                raise WaitTimeout(wanted, state)
            yield Pause(min(pause, left))
        raise AssertionError("pauses never end")

    def receipt(self) -> Flow[str]:
        """The signed receipt; `ReceiptNotReady` before there is one."""
        return self._calls.receipt(self.accepted.id)

    def verified_receipt(
        self, jwks: Mapping[str, Any] | None = None, *, timeout: float = 300.0
    ) -> Flow[Receipt]:
        """Waits for the receipt and checks it: who signed it, that it is about this erasure, and that
        its commitment opens to what was named.

        With `jwks`, keys that were fetched before or published elsewhere, the service cannot vouch for
        itself. Whether the certificate reaches its target is in `Receipt.certificate`.
        """
        yield from self.wait_until_certified(timeout)
        compact = yield from self.receipt()
        if jwks is None:
            jwks = yield from self._calls.jwks()
        receipt = verify_receipt(compact, jwks)
        if receipt.erasure_id != self.accepted.id:
            raise ReceiptError("it is the receipt of another erasure")
        salt = self.accepted.receipt_salt
        if salt is None:
            raise ReceiptError("there is no salt: what it is about cannot be checked")
        if not receipt.is_about(salt, self.sent.names):
            raise ReceiptError("it is not about what was named")
        return receipt


class ErasureFacts:
    """What is known of an erasure without asking. Keep `receipt_salt`: it is shown nowhere else."""

    _calls: ErasureCalls

    @property
    def id(self) -> str:
        """Its id."""
        return self._calls.accepted.id

    @property
    def accepted(self) -> AcceptedErasure:
        """What the service answered to the request."""
        return self._calls.accepted

    @property
    def receipt_salt(self) -> str | None:
        """What opens the commitment in the receipt; without it nobody can show whom it is about."""
        return self._calls.accepted.receipt_salt

    @property
    def idempotency_key(self) -> str:
        """The key of the request: with it and the same names, `erase` means this erasure again."""
        return self._calls.sent.idempotency_key

    @property
    def names(self) -> Names:
        """What was named."""
        return self._calls.sent.names

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id}, {self.accepted.status})"


def _post(route: Route, body: object) -> Request:
    return Request(route, headers=_JSON, body=json_bytes(body))


def _of(read: Callable[[Fields], T]) -> Callable[[Answer], T]:
    """Reads an answer of one object."""
    return lambda answer: read(Fields.of_json(answer.body))


def _lines(read: Callable[[Fields], T]) -> Callable[[Answer], tuple[T, ...]]:
    """Reads an answer of an object a line."""

    def lines(answer: Answer) -> tuple[T, ...]:
        if answer.body and not answer.body.endswith(b"\n"):
            raise UnexpectedAnswer("the answer broke off within a line")
        return tuple(read(Fields.of_json(line)) for line in answer.body.splitlines())

    return lines


def _item_line(value: Item) -> bytes:
    return json_bytes(_encode.item(value))


def _interaction_line(value: Interaction) -> bytes:
    return json_bytes(_encode.interaction(value))


def _pages(calls: Calls, request: Request, name: str, read: Callable[[Fields], T]) -> Stream[T]:
    """What is on all pages from this one on."""
    cursor: str | None = None
    while True:
        query = request.query if cursor is None else {**request.query, "cursor": cursor}
        page = yield from calls.ask(
            replace(request, query=query), lambda it: Fields.of_json(it.body)
        )
        for value in page.many(name, read):
            yield Emit(value)
        cursor = page.some_text("next_cursor")
        if cursor is None:
            return


def _pauses() -> Iterable[float]:
    """Pauses between two looks: a hundredth of a second at first, a second at last."""
    pause = 0.01
    while True:
        yield pause
        pause = min(1.0, pause * 1.5)


def _error(
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
