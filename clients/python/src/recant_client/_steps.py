"""What a call does, apart from who waits for it.

A call is a generator, a *flow*. It yields what has to happen next, one step at a time, is sent what
came of it, and returns the result:

* a `Request` is sent, and its `Answer` or `NoAnswer` comes back;
* a `Pause` is slept, and nothing comes back;
* `TAKE` asks for the next of the values that the caller streams in, `END` comes after the last;
* an `Emit` hands a value to the caller, who iterates over the results.

So retries, waits, pages and batches are written once, and the two clients differ only in how they
carry out a step: `recant_client._blocking` blocks, `recant_client._awaiting` awaits.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Generic, TypeVar

from ._routes import Route

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request. `repr` shows neither ids nor bodies."""

    route: Route
    #: What stands for `{id}` in the path.
    path_id: str | None = field(default=None, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    #: Whether it may be sent again when it is not known what became of it.
    repeatable: bool = True
    #: Seconds that the service was asked to wait before it answers.
    wait: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service answered."""

    status: int
    #: Names in lower case.
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The service could not be reached, or the connection ended before its answer did."""

    error: Exception
    #: Whether the request may have reached the service.
    sent: bool


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing happens for so many seconds."""

    seconds: float


class Mark(Enum):
    """Steps and replies without a content."""

    #: Step: the next of the values that the caller streams in.
    TAKE = "take"
    #: Reply: there are no more of them.
    END = "end"


TAKE: Final = Mark.TAKE
END: Final = Mark.END


@dataclass(frozen=True, slots=True)
class Emit(Generic[T]):
    """A value for the caller."""

    value: T


#: A flow that returns its result.
Flow = Generator[Request | Pause | Mark, Any, T]

#: A flow that hands over its results one by one.
Stream = Generator[Request | Pause | Mark | Emit[T], Any, None]
