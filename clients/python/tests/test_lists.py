"""Recommendations, similar items, and lists for nobody in particular."""

import time
import uuid
from datetime import timedelta

import pytest

from recant_client import Client, Interaction, InvalidFilter, InvalidRequest, Item, ItemNotFound

from .conftest import READERS, did, until


def test_a_known_user_gets_items_best_first_without_those_they_have(
    client: Client, somebody: str
) -> None:
    had = {row.item for row in did(client, somebody)}
    found = client.recommend(somebody, k=7)
    assert (found.user, found.source, len(found.items)) == (somebody, "model", 7)
    scores = [item.score for item in found.items]
    assert scores == sorted(scores, reverse=True)
    assert had and not had & {item.item for item in found.items}
    assert all(item.title == f"Item {item.item[1:]}" for item in found.items)
    again = client.recommend(somebody, k=30, exclude_seen=False)
    assert had <= {item.item for item in again.items}


def test_somebody_unknown_gets_what_is_popular(client: Client) -> None:
    assert client.recommend("nobody-knows-them").source == "popular"
    assert client.recommend(4711).user == "4711"


def test_a_list_can_be_explained_and_be_that_of_the_certified_version(
    client: Client, somebody: str
) -> None:
    found = client.recommend(somebody, explain=True, as_of="certified")
    assert found.explanation is not None
    assert found.explanation.certificate is not None
    assert found.explanation.certificate.is_proof
    assert found.explanation.leading_positions_proven <= len(found.items)
    assert client.recommend(somebody).explanation is None


def test_a_session_is_known_by_its_items(client: Client) -> None:
    found = client.recommend_session(["i1", "i8"], k=5)
    assert (found.user, found.source) == (None, "fold_in")
    assert not {"i1", "i8"} & {item.item for item in found.items}


def test_filters_leave_what_holds_in_the_same_order(client: Client, somebody: str) -> None:
    def ids(**selection: object) -> list[str]:
        found = client.recommend(somebody, exclude_seen=False, **selection)  # type: ignore[arg-type]
        return [item.item for item in found.items]

    whole = ids(k=30)
    even = [item for item in whole if int(item[1:]) % 2 == 0]
    assert ids(k=30, tags=["even"]) == even
    assert ids(k=30, tags_none=["odd"]) == even
    assert ids(k=30, tags_all=("even", "odd")) == []
    assert ids(k=30, filter='"even" in tags') == even
    assert ids(k=30, allow=[even[0], even[1]]) == even[:2]
    assert ids(k=30, exclude=iter(even)) == [item for item in whole if item not in even]
    assert ids(k=4, offset=3) == whole[3:7]


def test_what_is_wrong_with_a_request_has_a_class_and_a_code(client: Client) -> None:
    with pytest.raises(InvalidFilter, match="line 1") as wrong_filter:
        client.recommend(READERS[0], filter="tags ==")
    assert (wrong_filter.value.status, wrong_filter.value.code) == (400, "invalid_filter")
    assert wrong_filter.value.request_id
    with pytest.raises(InvalidRequest) as wrong_number:
        client.recommend(READERS[0], k=0)
    assert wrong_number.value.code == "invalid_body"
    with pytest.raises(TypeError):
        client.recommend(READERS[0], tags="even")


def test_lists_for_many_come_in_their_order_whatever_the_batch(client: Client) -> None:
    users = [READERS[0], READERS[2], READERS[2], READERS[1], "nobody-knows-them"]
    found = list(client.recommend_many(users, batch=2, k=3))
    assert [one.user for one in found] == users
    assert [one.source for one in found] == ["model"] * 4 + ["popular"]
    alone = client.recommend(READERS[1], k=3)
    assert [item.item for item in found[3].items] == [item.item for item in alone.items]
    assert list(client.recommend_many([])) == []


def test_similar_items_are_found_and_an_unknown_item_is_not(client: Client, somebody: str) -> None:
    found = client.similar("i3", k=5)
    assert found.item == "i3" and len(found.items) == 5
    had = {row.item for row in did(client, somebody)}
    assert not had & {item.item for item in client.similar("i3", user=somebody, k=30).items}
    with pytest.raises(ItemNotFound) as unknown:
        client.similar("no-such-item")
    assert unknown.value.status == 404


def test_popular_items_are_counted(client: Client, somebody: str) -> None:
    found = client.popular(k=30)
    counts = [item.score for item in found.items]
    assert counts == sorted(counts, reverse=True)
    assert all(item.title == f"Item {item.item[1:]}" for item in found.items)
    had = {row.item for row in did(client, somebody)}
    without = client.popular(k=30, user=somebody)
    assert [item.item for item in without.items] == [
        item.item for item in found.items if item.item not in had
    ]
    even = client.popular(k=30, tags=["even"])
    assert even.items == tuple(item for item in found.items if int(item.item[1:]) % 2 == 0)


def test_what_happened_of_late_is_popular_in_a_window_and_trends(client: Client) -> None:
    # What was erased once is held back when it comes again.
    only = [f"trending-{uuid.uuid4()}"]
    hour = int(time.time()) - 2 * 3600
    rows = [Interaction(f"trend-{number}", only[0], timestamp=hour) for number in (1, 2)]
    client.interactions.add_many(rows)
    until(lambda: bool(client.popular(window="1d", allow=only).items))
    for span in ("1d", timedelta(days=1)):
        found = client.popular(window=span, allow=only)
        assert [(item.item, item.score) for item in found.items] == [(only[0], 2.0)]
    trending = client.trending(half_life=timedelta(hours=2), window="1d", allow=only)
    assert [item.item for item in trending.items] == only
    assert 0.5 < trending.items[0].score <= 1.0
    with pytest.raises(InvalidRequest):
        client.popular(window="for ever")
    client.erase_item(only[0], wait=60)
    assert not client.popular(window="1d", allow=only).items


def test_the_latest_items_need_nobody(client: Client) -> None:
    moment = int(time.time()) - 60
    client.items.put(Item("brand-new", title="Brand new", timestamp=moment))
    found = client.latest(window="1d")
    assert [(item.item, item.score) for item in found.items] == [("brand-new", float(moment))]
    assert not client.latest(window="1d", exclude=["brand-new"]).items
    client.items.delete("brand-new")
