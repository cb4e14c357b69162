"""The steps of a flow, carried out by a task that awaits them."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable
from typing import Any, Concatenate, Generic, ParamSpec, TypeAlias, TypeVar

import httpx

from . import _http
from ._steps import END, Answer, Emit, Flow, Mark, NoAnswer, Pause, Request, Stream

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C")
C_co = TypeVar("C_co", covariant=True)

#: Values that are streamed in.
Source: TypeAlias = Iterable[T] | AsyncIterable[T]


class Driver:
    """Sends over one pool of connections. The tasks of one event loop may share it."""

    def __init__(
        self, url: str, api_key: str | None, timeout: float, http: httpx.AsyncClient | None
    ) -> None:
        self._base, self._headers = _http.settings(url, api_key)
        self._timeout = timeout
        self._http = httpx.AsyncClient() if http is None else http

    async def close(self) -> None:
        await self._http.aclose()

    async def _send(self, request: Request) -> Answer | NoAnswer:
        sent = _http.http_request(self._http, request, self._base, self._timeout)
        sent.headers.update(self._headers)
        try:
            return _http.answer(await self._http.send(sent))
        except httpx.HTTPError as error:
            return _http.no_answer(error)

    async def _carry_out(self, step: Request | Pause | Mark, inputs: AsyncIterator[Any]) -> Any:
        match step:
            case Request():
                return await self._send(step)
            case Pause(seconds):
                await asyncio.sleep(seconds)
                return None
        return await anext(inputs, END)

    async def run(self, flow: Flow[T], inputs: Source[Any] = ()) -> T:
        """The result of a flow."""
        reply, values = None, _iterator(inputs)
        while True:
            try:
                step = flow.send(reply)
            except StopIteration as end:
                result: T = end.value
                return result
            reply = await self._carry_out(step, values)

    async def iterate(self, stream: Stream[T], inputs: Source[Any] = ()) -> AsyncIterator[T]:
        """The results of a stream, each asked for when it is wanted."""
        reply, values = None, _iterator(inputs)
        while True:
            try:
                step = stream.send(reply)
            except StopIteration:
                return
            if isinstance(step, Emit):
                reply = None
                yield step.value
            else:
                reply = await self._carry_out(step, values)


async def _iterator(values: Source[T]) -> AsyncIterator[T]:
    if isinstance(values, AsyncIterable):
        async for value in values:
            yield value
    else:
        for value in values:
            yield value


class Part(Generic[C_co]):
    """Some calls and who carries them out."""

    def __init__(self, calls: C_co, driver: Driver) -> None:
        self._calls = calls
        self._driver = driver


def once(
    call: Callable[Concatenate[C, P], Flow[T]],
) -> Callable[Concatenate[Part[C], P], Coroutine[Any, Any, T]]:
    """A call as a method that is awaited for its result."""

    @functools.wraps(call)
    async def method(self: Part[C], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._driver.run(call(self._calls, *args, **kwargs))

    return method


def each(
    call: Callable[Concatenate[C, P], Stream[T]],
) -> Callable[Concatenate[Part[C], P], AsyncIterator[T]]:
    """A call as a method that returns an asynchronous iterator over its results."""

    @functools.wraps(call)
    def method(self: Part[C], /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        return self._driver.iterate(call(self._calls, *args, **kwargs))

    return method
