"""What the caller gives, as the service reads it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from .models import (
    KEEP,
    Id,
    Interaction,
    Item,
    Keep,
    Names,
    Pair,
    PropertyValue,
    Selection,
    Span,
    Time,
)

_PLURAL = ("exclude", "allow", "tags", "tags_all", "tags_none", "pins")


def json_bytes(value: object) -> bytes:
    """JSON on one line, in UTF-8. NaN and infinity are refused."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


def selection(given: Selection) -> dict[str, Any]:
    """The fields of a selection; those of an arrangement, which is one, too."""
    fields: dict[str, Any] = dict(given)
    for name in _PLURAL:
        if name in fields:
            fields[name] = listed(name, fields[name])
    if "boosts" in fields:
        fields["boosts"] = _boosts(fields["boosts"])
    return fields


def _boosts(given: Mapping[Id, float]) -> dict[str, float]:
    """Numbers by the texts of ids."""
    boosts = {id_text(item): boost for item, boost in given.items()}
    if len(boosts) < len(given):
        raise ValueError("boosts names an item twice, as a number and as a text")
    return boosts


def listed(name: str, values: Iterable[Any]) -> list[Any]:
    """The values as a list. A lone text is refused: its letters are hardly meant."""
    if isinstance(values, (str, bytes)):
        raise TypeError(f"{name} takes several: give a list")
    return list(values)


def time(value: Time) -> str | int | float:
    """A time as the service reads it."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a time needs a zone: use datetime.now(timezone.utc) and its like")
        return value.isoformat()
    return value


def span(value: Span) -> str:
    """A span of time as the service reads it."""
    return f"{value.total_seconds():f}s" if isinstance(value, timedelta) else value


def item(value: Item) -> dict[str, Any]:
    """All that is said of an item."""
    fields: dict[str, Any] = {
        "id": value.id,
        "title": value.title,
        "tags": listed("tags", value.tags),
        "properties": dict(value.properties),
        "hidden": value.hidden,
    }
    if value.timestamp is not None:
        fields["timestamp"] = time(value.timestamp)
    return fields


def patch(
    title: str | Keep | None,
    tags: Iterable[str] | Keep | None,
    properties: Mapping[str, PropertyValue | None] | Keep | None,
    timestamp: Time | Keep | None,
    hidden: bool | Keep | None,
) -> dict[str, Any]:
    """What changes; what is to be kept is absent."""
    fields: dict[str, Any] = {
        "title": title,
        "tags": tags,
        "properties": properties,
        "timestamp": timestamp,
        "hidden": hidden,
    }
    fields = {name: value for name, value in fields.items() if value is not KEEP}
    if fields.get("tags") is not None:
        fields["tags"] = listed("tags", fields["tags"])
    if fields.get("properties") is not None:
        fields["properties"] = dict(fields["properties"])
    if fields.get("timestamp") is not None:
        fields["timestamp"] = time(cast(Time, timestamp))
    return fields


def interaction(value: Interaction) -> dict[str, Any]:
    """One row."""
    fields: dict[str, Any] = {"user": value.user, "item": value.item}
    if value.type is not None:
        fields["type"] = value.type
    if value.weight is not None:
        fields["weight"] = value.weight
    if value.timestamp is not None:
        fields["timestamp"] = time(value.timestamp)
    return fields


def names(value: Names) -> dict[str, list[Any]]:
    """What an erasure names."""
    fields: dict[str, list[Any]] = {}
    if value.users:
        fields["users"] = listed("users", value.users)
    if value.items:
        fields["items"] = listed("items", value.items)
    if value.interactions:
        pairs = (Pair(*given) for given in value.interactions)
        fields["interactions"] = [
            {name: part for name, part in pair._asdict().items() if part is not None}
            for pair in pairs
        ]
    return fields


def id_text(value: Id) -> str:
    """An id in a path."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise TypeError("an id is a text or a whole number")
    return str(value)
