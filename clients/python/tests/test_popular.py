"""Lists for nobody in particular."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from recant_client import Client, Interaction, InvalidRequest, Item, ItemList, ListedItem, Names

from .conftest import until


class Books(NamedTuple):
    """Three items: what few people wanted today, and some more, and what most did ten days ago."""

    few: str
    some: str
    old: str
    #: Who wanted `few` and `some`.
    reader: str


@pytest.fixture
def books(client: Client) -> Iterator[Books]:
    """Items and people that no other test sees: they are erased in the end."""
    mark = uuid.uuid4()
    books = Books(*(f"{name}-{mark}" for name in Books._fields))
    people = [books.reader, *(f"reader-{number}-{mark}" for number in range(3))]
    now = datetime.now(UTC)
    ago = now - timedelta(days=10)
    client.interactions.add_many(
        [Interaction(books.reader, books.few, timestamp=now)]
        + [Interaction(user, books.some, timestamp=now) for user in people[:2]]
        + [Interaction(user, books.old, timestamp=ago) for user in people[1:]]
    )
    until(lambda: len(client.popular(allow=books[:3]).items) == 3)
    yield books
    for item in books[:3]:
        client.items.delete(item)
    client.erase(Names(users=people), wait=20)


def scores(found: ItemList) -> list[tuple[str, float]]:
    return [(item.item, item.score) for item in found.items]


def test_what_most_people_wanted_is_first_of_all_time_or_of_a_window(
    client: Client, books: Books
) -> None:
    allow = books[:3]
    whole = client.popular(allow=allow)
    assert scores(whole) == [(books.old, 3.0), (books.some, 2.0), (books.few, 1.0)]
    assert whole.model_version >= 1 and whole.items[0].title is None
    of_late = [(books.some, 2.0), (books.few, 1.0)]
    for window in ("2d", timedelta(days=2), timedelta(days=2, microseconds=1)):
        assert scores(client.popular(window=window, allow=allow)) == of_late
    assert scores(client.popular(allow=allow, k=1, offset=1)) == [(books.some, 2.0)]
    assert scores(client.popular(user=books.reader, allow=allow)) == [(books.old, 3.0)]


def test_somebody_counts_the_less_the_longer_ago_it_was(client: Client, books: Books) -> None:
    allow = books[:3]
    quick = client.trending(half_life="12h", allow=allow)
    assert [item.item for item in quick.items] == [books.some, books.few, books.old]
    assert 0 < quick.items[2].score < 0.01
    slow = client.trending(half_life=timedelta(days=3650), allow=allow)
    assert [item.item for item in slow.items] == [books.old, books.some, books.few]
    of_late = client.trending(window="2d", user=books.reader, allow=allow)
    assert of_late.items == ()


def test_the_latest_are_first_whether_or_not_anybody_wanted_them(
    client: Client, books: Books
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    yesterday, long_ago = now - timedelta(days=1), now - timedelta(days=100)
    client.items.put(Item(books.few, "A few", timestamp=yesterday))
    client.items.put(Item(books.old, timestamp=long_ago))
    client.items.put(Item(books.some, timestamp=now + timedelta(days=1)))
    few = ListedItem(books.few, yesterday.timestamp(), "A few")
    old = ListedItem(books.old, long_ago.timestamp(), None)
    assert client.latest(allow=books[:3]).items == (few, old)
    assert client.latest(allow=books[:3], window="7d").items == (few,)
    assert client.latest(allow=books[:3], user=books.reader).items == (old,)


def test_spans_that_are_none_or_out_of_bounds_are_refused(client: Client) -> None:
    for window in ("1 month", "seven days", timedelta(minutes=5), timedelta(days=-1)):
        with pytest.raises(InvalidRequest, match="window"):
            client.popular(window=window)
    with pytest.raises(InvalidRequest, match="half_life"):
        client.trending(half_life="4000d")
