"""What people did: added, exported, held back."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from recant_client import AsyncClient, Client, Interaction, Names, Pair, RowsRejected

from .conftest import ADMIN, READERS, Clients, Server, did, until


def test_an_interaction_is_exported_as_it_was_added(client: Client, clients: Clients) -> None:
    user = f"added-{id(clients)}"
    when = datetime.now(UTC) - timedelta(days=1)
    added = client.interactions.add(user, "i3", weight=2.5, timestamp=when)
    assert (added.accepted, added.rows) == (1, 1)
    client.interactions.add(user, "i4")
    until(lambda: {row.item for row in did(client, user)} == {"i3", "i4"})
    held = {row.item: row for row in did(client, user)}
    assert (held["i3"].weight, held["i3"].title) == (2.5, "Item 3")
    assert held["i3"].timestamp is not None and held["i4"].timestamp is None
    assert client.export("nobody-knows-them") == ()


def test_a_row_that_is_not_taken_is_an_error(client: Client) -> None:
    with pytest.raises(RowsRejected, match="weight") as refused:
        client.interactions.add("ada", "i3", weight=-1)
    assert refused.value.written.rejected[0].index == 0
    assert "ada" not in str(refused.value)


def test_many_interactions_are_streamed_and_the_bad_ones_are_named(
    client: Client, clients: Clients
) -> None:
    user = f"streamed-{id(clients)}"

    def rows() -> Iterator[Interaction]:
        for index in range(30):
            yield Interaction(user, f"i{index}", weight=0 if index in (4, 21) else None)

    written = client.interactions.add_many(rows(), batch=7)
    assert (written.accepted, written.held_back) == (28, 0)
    assert [row.index for row in written.rejected] == [4, 21]
    until(lambda: len(client.export(user)) == 28)


def test_what_was_erased_is_held_back_when_an_old_batch_brings_it_again(
    client: Client, somebody: str
) -> None:
    client.erase_user(somebody, wait=20)
    long_ago = datetime.now(UTC) - timedelta(days=400)
    old = [Interaction(somebody, "i1", timestamp=long_ago), Interaction(somebody, "i2")]
    written = client.interactions.add_many(old)
    assert (written.accepted, written.held_back) == (1, 1)
    until(lambda: [row.item for row in did(client, somebody)] == ["i2"])


def test_the_asynchronous_client_takes_asynchronous_iterators(
    server: Server, clients: Clients
) -> None:
    user = f"asynchronous-{id(clients)}"

    async def rows() -> AsyncIterator[Interaction]:
        for index in range(12):
            yield Interaction(user, f"i{index}")

    async def users() -> AsyncIterator[str]:
        for user in READERS:
            yield user

    async def run() -> tuple[int, list[str | None]]:
        http = httpx.AsyncClient(trust_env=False)
        async with AsyncClient(server.url, api_key=ADMIN, http=http) as client:
            written = await client.interactions.add_many(rows(), batch=5)
            return written.accepted, [
                found.user async for found in client.recommend_many(users(), batch=2)
            ]

    assert clients.run(run()) == (12, READERS)


def test_types_of_feedback_are_told_apart(client: Client, clients: Clients) -> None:
    user = f"typed-{id(clients)}"
    client.interactions.add(user, "i3", type="view", weight=2)
    client.interactions.add_many([Interaction(user, "i3"), Interaction(user, "i5", "dislike")])

    def held() -> set[tuple[str, str, float]]:
        return {(row.item, row.type, row.weight) for row in did(client, user)}

    all_of_it = {("i3", "view", 2.0), ("i3", "interaction", 1.0), ("i5", "dislike", 1.0)}
    until(lambda: held() == all_of_it)
    with pytest.raises(RowsRejected, match="type"):
        client.interactions.add(user, "i3", type="unheard-of")
    erasure = client.erase_interactions([Pair(user, "i3", "view")])
    assert held() == all_of_it - {("i3", "view", 2.0)}
    receipt = erasure.verified_receipt()
    assert receipt.kind == "typed_pairs"
    with_more = Names(users=["nobody"], interactions=[(user, "i3"), (user, "i5", "dislike")])
    assert client.erase(with_more).verified_receipt().kind == "several_typed"
    assert client.export(user) == ()
