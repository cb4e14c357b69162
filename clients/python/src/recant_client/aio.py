"""The client for asyncio. Its calls are those of `recant_client.client`, awaited."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, Unpack

import httpx

from . import _http
from ._asking import Retries
from ._awaiting import Driver, Part, Source, each, once
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


class AsyncErasure(ErasureFacts, Part[ErasureCalls]):
    """An erasure that was accepted."""

    state = once(ErasureCalls.state)
    wait_until_forgotten = once(ErasureCalls.wait_until_forgotten)
    wait_until_certified = once(ErasureCalls.wait_until_certified)
    receipt = once(ErasureCalls.receipt)
    verified_receipt = once(ErasureCalls.verified_receipt)


def _erasing(
    call: Callable[Concatenate[C, P], Flow[ErasureCalls]],
) -> Callable[Concatenate[Part[C], P], Coroutine[Any, Any, AsyncErasure]]:
    """A call that erases as a method that returns the erasure."""

    @functools.wraps(call)
    async def method(self: Part[C], /, *args: P.args, **kwargs: P.kwargs) -> AsyncErasure:
        return AsyncErasure(
            await self._driver.run(call(self._calls, *args, **kwargs)), self._driver
        )

    return method


class AsyncItems(Part[ItemCalls]):
    """What is said about items: `client.items`."""

    put = once(ItemCalls.put)
    patch = once(ItemCalls.patch)
    get = once(ItemCalls.get)
    delete = _erasing(ItemCalls.delete)
    list = each(ItemCalls.list)

    async def put_many(self, items: Source[Item], *, batch: int = 1000) -> Written:
        """Says this about many items, each in place of all that was said before, `batch` a request.

        Items that cannot be taken are named in the result, the others are taken. When a request fails
        for good, `WriteInterrupted` says how far it came; to repeat all of it is harmless.
        """
        return await self._driver.run(self._calls.put_many(batch), items)


class AsyncInteractions(Part[InteractionCalls]):
    """What people did: `client.interactions`."""

    add = once(InteractionCalls.add)

    async def add_many(self, interactions: Source[Interaction], *, batch: int = 1000) -> Written:
        """Adds many interactions, `batch` a request: durable when it returns.

        Rows that cannot be taken are named in the result, the others are taken. A request of which it
        is not known what became of it is not repeated, for an event may count twice: then
        `WriteInterrupted` says how far it came.
        """
        return await self._driver.run(self._calls.add_many(batch), interactions)


class AsyncErasures(Part[ErasureListCalls]):
    """The erasures there are: `client.erasures`."""

    get = once(ErasureListCalls.get)
    list = each(ErasureListCalls.list)


class AsyncClient(Part[Calls]):
    """A client of one recant service, for asyncio. The tasks of a loop may share it; close it, or use it
    in an `async with`. `put_many`, `add_many` and `recommend_many` take asynchronous iterators too.

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
        http: httpx.AsyncClient | None = None,
    ) -> None:
        super().__init__(Calls(retries), Driver(url, api_key, timeout, http))
        self.items = AsyncItems(ItemCalls(self._calls), self._driver)
        self.interactions = AsyncInteractions(InteractionCalls(self._calls), self._driver)
        self.erasures = AsyncErasures(ErasureListCalls(self._calls), self._driver)

    async def close(self) -> None:
        """Closes the connections."""
        await self._driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

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
        users: Source[Id],
        *,
        batch: int = 500,
        exclude_seen: bool = True,
        **arrangement: Unpack[Arrangement],
    ) -> AsyncIterator[Recommendations]:
        """Lists for many users, in their order; `batch` of them a request, and of one model version."""
        calls = self._calls.recommend_many(batch, exclude_seen, arrangement)
        return self._driver.iterate(calls, users)
