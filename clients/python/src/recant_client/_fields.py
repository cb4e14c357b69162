"""Answers read field by field: what is missing or of another type is an error, what is unknown is
left alone, so that a newer service can say more."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from .errors import UnexpectedAnswer

T = TypeVar("T")


class Fields:
    """An object of an answer."""

    def __init__(self, value: object) -> None:
        if not isinstance(value, dict):
            raise UnexpectedAnswer("the answer has something else where an object belongs")
        self._value: dict[str, Any] = value

    @classmethod
    def of_json(cls, text: bytes | str) -> Fields:
        """The object that is written in `text`."""
        try:
            return cls(json.loads(text))
        except ValueError:
            raise UnexpectedAnswer("the answer is not JSON") from None

    def _get(self, name: str, kinds: tuple[type, ...]) -> Any:
        value = self._value.get(name)
        # To Python, a truth is a number.
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise UnexpectedAnswer(f"the answer has no {name}, or of another type")
        return value

    def _some(self, name: str, read: Callable[[str], T]) -> T | None:
        return None if self._value.get(name) is None else read(name)

    def text(self, name: str) -> str:
        value: str = self._get(name, (str,))
        return value

    def some_text(self, name: str) -> str | None:
        return self._some(name, self.text)

    def whole(self, name: str) -> int:
        value: int = self._get(name, (int,))
        return value

    def some_whole(self, name: str) -> int | None:
        return self._some(name, self.whole)

    def number(self, name: str) -> float:
        return float(self._get(name, (int, float)))

    def some_number(self, name: str) -> float | None:
        return self._some(name, self.number)

    def truth(self, name: str) -> bool:
        value: bool = self._get(name, (bool,))
        return value

    def some_truth(self, name: str) -> bool | None:
        return self._some(name, self.truth)

    def time(self, name: str) -> datetime:
        try:
            time = datetime.fromisoformat(self.text(name))
        except ValueError:
            time = datetime.min
        if time.tzinfo is None:
            raise UnexpectedAnswer(f"the answer has no time in {name}")
        return time

    def some_time(self, name: str) -> datetime | None:
        return self._some(name, self.time)

    def one(self, name: str, read: Callable[[Fields], T]) -> T:
        return read(Fields(self._value.get(name)))

    def some(self, name: str, read: Callable[[Fields], T]) -> T | None:
        return self._some(name, lambda name: self.one(name, read))

    def many(self, name: str, read: Callable[[Fields], T]) -> tuple[T, ...]:
        return tuple(read(Fields(value)) for value in self._get(name, (list,)))

    def some_many(self, name: str, read: Callable[[Fields], T]) -> tuple[T, ...] | None:
        return self._some(name, lambda name: self.many(name, read))

    def texts(self, name: str) -> tuple[str, ...]:
        values = self._get(name, (list,))
        if not all(isinstance(value, str) for value in values):
            raise UnexpectedAnswer(f"the answer has something else than texts in {name}")
        return tuple(values)

    def mapping(self, name: str) -> Mapping[str, Any]:
        value: dict[str, Any] = self._get(name, (dict,))
        return value

    def raw(self) -> Mapping[str, Any]:
        """The object as it came."""
        return self._value
