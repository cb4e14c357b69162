"""The client that blocks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Concatenate, ParamSpec, Self, TypeVar, Unpack

import httpx

from . import _http
from ._asking import Retries
from ._blocking import Driver, Part, each, once
from ._calls import (
    Calls,
    ErasureCalls,
    ErasureFacts,
    ErasureListCalls,
    InteractionCalls,
    ItemCalls,
)
from ._steps import Flow
from .models import (
    Arrangement,
    Id,
    Interaction,
    Item,
    Recommendations,
    Written,
)

P = ParamSpec("P")
C = TypeVar("C")


class Erasure(ErasureFacts, Part[ErasureCalls]):
    """An erasure that was accepted."""

    state = once(ErasureCalls.state)
    wait_until_forgotten = once(ErasureCalls.wait_until_forgotten)
    wait_until_certified = once(ErasureCalls.wait_until_certified)
    receipt = once(ErasureCalls.receipt)
    verified_receipt = once(ErasureCalls.verified_receipt)


def _erasing(
    call: Callable[Concatenate[C, P], Flow[ErasureCalls]],
) -> Callable[Concatenate[Part[C], P], Erasure]:
    """A call that erases as a method that returns the erasure."""

    @functools.wraps(call)
    def method(self: Part[C], /, *args: P.args, **kwargs: P.kwargs) -> Erasure:
        return Erasure(self._driver.run(call(self._calls, *args, **kwargs)), self._driver)

    return method


class Items(Part[ItemCalls]):
    """What is said about items: `client.items`."""

    put = once(ItemCalls.put)
    patch = once(ItemCalls.patch)
    get = once(ItemCalls.get)
    delete = _erasing(ItemCalls.delete)
    list = each(ItemCalls.list)

    def put_many(self, items: Iterable[Item], *, batch: int = 1000) -> Written:
        """Says this about many items, each in place of all that was said before, `batch` a request.

        Items that cannot be taken are named in the result, the others are taken. When a request fails
        for good, `WriteInterrupted` says how far it came; to repeat all of it is harmless.
        """
        return self._driver.run(self._calls.put_many(batch), items)


class Interactions(Part[InteractionCalls]):
    """What people did: `client.interactions`."""

    add = once(InteractionCalls.add)

    def add_many(self, interactions: Iterable[Interaction], *, batch: int = 1000) -> Written:
        """Adds many interactions, `batch` a request: durable when it returns.

        Rows that cannot be taken are named in the result, the others are taken. A request of which it
        is not known what became of it is not repeated, for an event may count twice: then
        `WriteInterrupted` says how far it came.
        """
        return self._driver.run(self._calls.add_many(batch), interactions)


class Erasures(Part[ErasureListCalls]):
    """The erasures there are: `client.erasures`."""

    get = once(ErasureListCalls.get)
    list = each(ErasureListCalls.list)


class Client(Part[Calls]):
    """A client of one recant service. Threads may share it; close it, or use it in a `with`.

    `api_key` is a key of the service, where it has any. `timeout`, in seconds, is for each step of a
    request, not for all of it. `http` is a client of httpx to send with, for proxies and certificates.
    """

    def __init__(
        self,
        url: str = _http.DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout: float = _http.DEFAULT_TIMEOUT,
        retries: Retries = Retries(),
        http: httpx.Client | None = None,
    ) -> None:
        super().__init__(Calls(retries), Driver(url, api_key, timeout, http))
        self.items = Items(ItemCalls(self._calls), self._driver)
        self.interactions = Interactions(InteractionCalls(self._calls), self._driver)
        self.erasures = Erasures(ErasureListCalls(self._calls), self._driver)

    def close(self) -> None:
        """Closes the connections."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    recommend = once(Calls.recommend)
    recommend_session = once(Calls.recommend_session)
    similar = once(Calls.similar)
    popular = once(Calls.popular)
    trending = once(Calls.trending)
    latest = once(Calls.latest)
    erase = _erasing(Calls.erase)
    erase_user = _erasing(Calls.erase_user)
    erase_item = _erasing(Calls.erase_item)
    erase_interactions = _erasing(Calls.erase_interactions)
    restrict = _erasing(Calls.restrict)
    lift_restrictions = once(Calls.lift_restrictions)
    receipt = once(Calls.receipt)
    jwks = once(Calls.jwks)
    put_user = once(Calls.put_user)
    user = once(Calls.user)
    users = each(Calls.users)
    export = once(Calls.export)
    model = once(Calls.model)
    health = once(Calls.health)
    wait_until_ready = once(Calls.wait_until_ready)
    openapi = once(Calls.openapi)

    def recommend_many(
        self,
        users: Iterable[Id],
        *,
        batch: int = 500,
        exclude_seen: bool = True,
        **arrangement: Unpack[Arrangement],
    ) -> Iterator[Recommendations]:
        """Lists for many users, in their order; `batch` of them a request, and of one model version."""
        calls = self._calls.recommend_many(batch, exclude_seen, arrangement)
        return self._driver.iterate(calls, users)
