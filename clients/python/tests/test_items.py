"""What is said about items."""

from datetime import UTC, datetime

import pytest

from recant_client import Client, InvalidRequest, Item, ItemNotFound

ODD_IDS = ["a/b", ".", "..", "ü +&?%#", "%2F", "-", "x y"]


def test_an_item_is_put_shown_changed_and_deleted(client: Client) -> None:
    when = datetime(2024, 1, 15, 12, 30, tzinfo=UTC)
    said = Item("dune", "Dune", ["b", "a"], {"price": 12.5, "new": True, "kind": "book"}, when)
    put = client.items.put(said)
    assert (put.title, put.tags, put.hidden) == ("Dune", ("a", "b"), False)
    assert put.properties == {"price": 12.5, "new": True, "kind": "book"}
    assert put.timestamp is not None and client.items.get("dune") == put
    changed = client.items.patch("dune", title=None, properties={"price": None, "stock": 3})
    assert (changed.title, changed.tags) == (None, ("a", "b"))
    assert changed.properties == {"new": True, "kind": "book", "stock": 3}
    assert client.items.patch("dune", tags=["c"], timestamp=None, hidden=True).hidden
    erasure = client.items.delete("dune", wait=20)
    assert erasure.state().is_forgotten
    with pytest.raises(ItemNotFound):
        client.items.get("dune")


def test_a_hidden_item_leaves_the_lists_and_returns(client: Client, somebody: str) -> None:
    best = client.recommend(somebody, k=1).items[0].item
    client.items.patch(best, hidden=True)
    try:
        assert best not in [item.item for item in client.recommend(somebody, k=30).items]
    finally:
        client.items.patch(best, hidden=False)
    assert client.recommend(somebody, k=1).items[0].item == best


@pytest.mark.parametrize("id", ODD_IDS)
def test_any_id_can_be_named_in_a_path(client: Client, id: str) -> None:
    client.items.put(Item(id, title=f"called {id}"))
    assert client.items.get(id) == Item(id, title=f"called {id}", tags=())
    client.items.delete(id)
    with pytest.raises(ItemNotFound):
        client.items.get(id)


def test_many_items_are_streamed_and_the_bad_ones_are_named(client: Client) -> None:
    items = (Item(f"many-{index}", title="x" * (2000 if index == 11 else 5)) for index in range(25))
    written = client.items.put_many(items, batch=10)
    assert (written.accepted, written.rows) == (24, 25)
    assert [row.index for row in written.rejected] == [11]
    assert "1024 bytes" in written.rejected[0].reason
    listed = [item.id for item in client.items.list(page=7)]
    assert listed == sorted(listed) and {f"many-{index}" for index in range(25)} - set(listed) == {
        "many-11"
    }
    assert client.items.put_many([]).rows == 0


def test_a_list_of_items_can_be_filtered(client: Client) -> None:
    odd = list(client.items.list(filter='"odd" in tags'))
    assert len(odd) == 15 and all(item.tags == ("odd",) for item in odd)


def test_what_cannot_be_said_is_refused(client: Client) -> None:
    with pytest.raises(InvalidRequest) as wrong:
        client.items.put(Item("x", properties={"not a name": 1}))
    assert wrong.value.code == "invalid_body"
    with pytest.raises(ValueError, match="zone"):
        client.items.put(Item("x", timestamp=datetime(2024, 1, 15)))
    with pytest.raises(ValueError):
        client.items.put(Item("x", properties={"price": float("nan")}))
