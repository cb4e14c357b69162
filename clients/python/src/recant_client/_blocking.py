"""The steps of a flow, carried out by a thread that waits."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

import httpx

from . import _http
from ._steps import END, Answer, Emit, Flow, Mark, NoAnswer, Pause, Request, Stream

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C")
C_co = TypeVar("C_co", covariant=True)


class Driver:
    """Sends over one pool of connections. Threads may share it."""

    def __init__(
        self, url: str, api_key: str | None, timeout: float, http: httpx.Client | None
    ) -> None:
        self._base, self._headers = _http.settings(url, api_key)
        self._timeout = timeout
        self._http = httpx.Client() if http is None else http

    def close(self) -> None:
        self._http.close()

    def _send(self, request: Request) -> Answer | NoAnswer:
        sent = _http.http_request(self._http, request, self._base, self._timeout)
        sent.headers.update(self._headers)
        try:
            return _http.answer(self._http.send(sent))
        except httpx.HTTPError as error:
            return _http.no_answer(error)

    def _carry_out(self, step: Request | Pause | Mark, inputs: Iterator[Any]) -> Any:
        match step:
            case Request():
                return self._send(step)
            case Pause(seconds):
                time.sleep(seconds)
                return None
        return next(inputs, END)

    def run(self, flow: Flow[T], inputs: Iterable[Any] = ()) -> T:
        """The result of a flow."""
        reply, values = None, iter(inputs)
        while True:
            try:
                step = flow.send(reply)
            except StopIteration as end:
                result: T = end.value
                return result
            reply = self._carry_out(step, values)

    def iterate(self, stream: Stream[T], inputs: Iterable[Any] = ()) -> Iterator[T]:
        """The results of a stream, each asked for when it is wanted."""
        reply, values = None, iter(inputs)
        while True:
            try:
                step = stream.send(reply)
            except StopIteration:
                return
            if isinstance(step, Emit):
                reply = None
                yield step.value
            else:
                reply = self._carry_out(step, values)


class Part(Generic[C_co]):
    """Some calls and who carries them out."""

    def __init__(self, calls: C_co, driver: Driver) -> None:
        self._calls = calls
        self._driver = driver


def once(call: Callable[Concatenate[C, P], Flow[T]]) -> Callable[Concatenate[Part[C], P], T]:
    """A call as a method that returns its result."""

    @functools.wraps(call)
    def method(self: Part[C], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._driver.run(call(self._calls, *args, **kwargs))

    return method


def each(
    call: Callable[Concatenate[C, P], Stream[T]],
) -> Callable[Concatenate[Part[C], P], Iterator[T]]:
    """A call as a method that returns an iterator over its results."""

    @functools.wraps(call)
    def method(self: Part[C], /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self._driver.iterate(call(self._calls, *args, **kwargs))

    return method
