"""Items that nobody has touched, in the lists of a server that lists them."""

from collections.abc import Iterator

import pytest

from recant_client import Client, Item

from .conftest import ADMIN, ITEMS, READERS, Clients, Server, serve, until

READER = READERS[0]


@pytest.fixture(scope="module")
def content_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of which new items are listed once they are described."""
    settings = "[content]\nenabled = true\nrefresh_seconds = 1\n"
    yield from serve(tmp_path_factory.mktemp("content"), settings)


@pytest.fixture
def content_client(clients: Clients, content_server: Server) -> Client:
    """A client of it."""
    return clients(content_server.url, api_key=ADMIN)


def test_an_item_says_that_its_score_comes_from_what_is_said_about_it(
    content_client: Client,
) -> None:
    client = content_client
    client.items.put(Item("untouched", "Untouched", tags=["even"]))

    def sources() -> dict[str, str | None]:
        items = client.recommend(READER, k=2 * ITEMS, exclude_seen=False).items
        return {item.item: item.source for item in items}

    until(lambda: "untouched" in sources())
    expected = {f"i{item}": None for item in range(ITEMS)}
    assert sources() == {**expected, "untouched": "content"}
    session = client.recommend_session(["i2"], allow=["untouched", "i4"]).items
    assert {item.item: item.source for item in session} == {"untouched": "content", "i4": None}
    [many] = client.recommend_many([READER], allow=["untouched"])
    assert [(item.source, item.title) for item in many.items] == [("content", "Untouched")]
    assert all(item.source is None for item in client.similar("i2").items)
