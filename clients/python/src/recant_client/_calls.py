"""The calls of the service as flows: how each is asked, and how its answer is read."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from . import _encode, _routes
from ._asking import JSON, error_of, of_lines, of_object, pages, post
from ._encode import json_bytes
from ._fields import Fields
from ._lists import ListCalls
from ._steps import Answer, Flow, NoAnswer, Pause, Request, Stream
from .errors import NoAnswerError, ReceiptError, RowsRejected, Unavailable, WaitTimeout
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
    Keep,
    Model,
    Names,
    Pair,
    PropertyValue,
    Time,
    User,
    Written,
    exported_row,
)
from .receipts import Receipt, verify_receipt

#: The longest wait that the service grants.
_WAIT_MAX = 60
#: A repeated request is the same erasure as long as the service remembers its key, which is a day.
_REPEATED_FOR = 60 * 60.0


class Calls(ListCalls):
    """The calls of one service."""

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
        return self._erase(post(_routes.ERASE, _encode.names(names)), names, wait, idempotency_key)

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

    def restrict(
        self,
        users: Iterable[Id],
        *,
        wait: float | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[ErasureCalls]:
        """Restricts the processing of what is held of users: it is kept and leaves the model, as if it
        were erased, until `lift_restrictions`; so does what comes of them later. Its state after
        `accepted` is `restricted`. Otherwise as `erase`."""
        names = Names(users=_encode.listed("users", users))
        if not len(names):
            raise ValueError("nobody is named")
        request = post(_routes.RESTRICT, {"users": list(names.users)})
        return self._erase(request, names, wait, idempotency_key, is_restriction=True)

    def lift_restrictions(self, users: Iterable[Id]) -> Flow[datetime]:
        """Ends the restrictions of users: what was kept of them is learnt in the background. Returns
        when it was made durable; the same for those who are not restricted."""
        body = {"users": _encode.listed("users", users)}
        return self.ask(post(_routes.LIFT, body), of_object(lambda it: it.time("accepted_at")))

    def _erase(
        self,
        request: Request,
        names: Names,
        wait: float | None,
        idempotency_key: str | None,
        *,
        is_restriction: bool = False,
    ) -> Flow[ErasureCalls]:
        key = str(uuid.uuid4()) if idempotency_key is None else idempotency_key
        request = replace(request, headers={**request.headers, "idempotency-key": key})
        sent = ErasureRequest(request, names, time.monotonic(), is_restriction)
        answer = yield from self.ask(sent.waiting(wait), of_object(AcceptedErasure.read))
        return ErasureCalls(self, answer, sent)

    def receipt(self, erasure_id: str) -> Flow[str]:
        """The signed receipt of a certified erasure; `ReceiptNotReady` before."""
        request = Request(_routes.RECEIPT, path_id=erasure_id)
        return self.ask(request, lambda answer: answer.body.decode(errors="replace"))

    def jwks(self) -> Flow[Mapping[str, Any]]:
        """The public keys that receipts are signed with, a JSON Web Key Set."""
        return self.ask(Request(_routes.JWKS), of_object(Fields.raw))

    # What is held, and how the service is.

    def put_user(
        self, user: Id, properties: Mapping[str, PropertyValue]
    ) -> Flow[Mapping[str, PropertyValue]]:
        """Says this about a user in place of all that was said before, and returns what is said now,
        durable; with no properties nothing is said any more. The id is in the URL."""
        body = json_bytes({"properties": dict(properties)})
        request = Request(_routes.PUT_USER, _encode.id_text(user), {}, JSON, body)
        return self.ask(request, of_object(lambda fields: fields.mapping("properties")))

    def user(self, user: Id) -> Flow[User]:
        """What is held of a user; `UserNotFound` when nothing is. The id is in the URL."""
        return self.ask(
            Request(_routes.GET_USER, path_id=_encode.id_text(user)), of_object(User.read)
        )

    def users(self, *, page: int = 100) -> Stream[User]:
        """Everybody of whom anything is held, in the order of the bytes of their ids; `page` of them a
        request."""
        return pages(self, Request(_routes.USERS, query={"limit": str(page)}), "users", User.read)

    def export(self, user: Id) -> Flow[tuple[ExportedRow, ...]]:
        """Everything that is held about a user: what is said about them first, where something is, and
        each interaction. Nothing for one whom the service does not know."""
        request = post(_routes.EXPORT, {"user": user})
        # Whatever the HTTP client asks for elsewhere.
        headers = {**request.headers, "accept": "application/x-ndjson"}
        return self.ask(replace(request, headers=headers), of_lines(exported_row))

    def model(self) -> Flow[Model]:
        """The live model."""
        return self.ask(Request(_routes.MODEL), of_object(Model.read))

    def health(self) -> Flow[Health]:
        """How the service is. It is asked once; `NoAnswerError` when it cannot be reached."""
        reasons: list[str | None] = []
        for route in (_routes.ALIVE, _routes.READY):
            request = Request(route)
            reply: Answer | NoAnswer = yield request
            if isinstance(reply, Answer) and reply.status < 300:
                reasons.append(None)
                continue
            error = error_of(request, reply)
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
            error, left = error_of(request, reply), deadline - time.monotonic()
            if left <= 0 or not isinstance(error, (Unavailable, NoAnswerError)):
                raise error
            yield Pause(min(pause, left))

    def openapi(self) -> Flow[Mapping[str, Any]]:
        """The description of all calls, an OpenAPI document."""
        return self.ask(Request(_routes.OPENAPI), of_object(Fields.raw))


class ItemCalls:
    """What is said about items."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def put(self, item: Item) -> Flow[Item]:
        """Says this about an item in place of all that was said before; in every list when it returns."""
        body = _encode.item(item)
        # The path has it already.
        del body["id"]
        request = Request(_routes.PUT_ITEM, _encode.id_text(item.id), {}, JSON, json_bytes(body))
        return self._calls.ask(request, of_object(Item.read))

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
        request = Request(_routes.PATCH_ITEM, _encode.id_text(item), {}, JSON, body)
        return self._calls.ask(request, of_object(Item.read))

    def get(self, item: Id) -> Flow[Item]:
        """What is said about an item."""
        request = Request(_routes.GET_ITEM, path_id=_encode.id_text(item))
        return self._calls.ask(request, of_object(Item.read))

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
        return pages(self._calls, Request(_routes.ITEMS, query=query), "items", Item.read)

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
        request = replace(post(_routes.ADD, body), repeatable=False)
        written = yield from self._calls.ask(request, of_object(Written.read))
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
        return self._calls.ask(request, of_object(ErasureState.read))

    def list(self, *, status: ErasureStatus | None = None, page: int = 100) -> Stream[ErasureState]:
        """Erasures, newest first, `page` of them a request: all of them for the role `admin`, else
        those that the same key requested."""
        query = {"limit": str(page)} | ({} if status is None else {"status": status})
        request = Request(_routes.ERASURES, query=query)
        return pages(self._calls, request, "erasures", ErasureState.read)


@dataclass(frozen=True, slots=True)
class ErasureRequest:
    """How an erasure was asked for. Asking again is the same erasure, and a way to wait for it."""

    request: Request
    names: Names
    asked_at: float
    #: Whether the users who are named are restricted, and not erased.
    is_restriction: bool = False

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
            answer = yield from self._calls.ask(request, of_object(AcceptedErasure.read))
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
        if not receipt.is_about(salt, self.sent.names, restriction=self.sent.is_restriction):
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


def _item_line(value: Item) -> bytes:
    return json_bytes(_encode.item(value))


def _interaction_line(value: Interaction) -> bytes:
    return json_bytes(_encode.interaction(value))


def _pauses() -> Iterable[float]:
    """Pauses between two looks: a hundredth of a second at first, a second at last."""
    pause = 0.01
    while True:
        yield pause
        pause = min(1.0, pause * 1.5)
