"""Lists that are arranged, and where their scores come from."""

from typing import Any

import pytest

from recant_client import Client, Id, InvalidRequest, ScoredItem

from .conftest import READERS, did, until

READER = READERS[0]


@pytest.fixture
def client(client: Client) -> Client:
    """A client of a server that has nothing left to learn: its lists stay as they are."""

    def is_settled() -> bool:
        model = client.model()
        last = model.certified
        return last is not None and (last.version, last.events_since) == (model.version, 0)

    until(is_settled)
    return client


def whole_list(client: Client, **asked: Any) -> tuple[ScoredItem, ...]:
    return client.recommend(READER, k=30, **asked).items


def ids(items: tuple[ScoredItem, ...]) -> list[str]:
    return [item.item for item in items]


def test_a_boost_is_added_to_the_score(client: Client) -> None:
    plain = whole_list(client)
    first, last = plain[0], plain[-1]
    boosts = {first.item: -10.0, last.item: 10.0, "nobody-touched-it": 1.0}
    boosted = whole_list(client, boosts=boosts)
    assert ids(boosted) == [last.item, *ids(plain[1:-1]), first.item]
    assert [item.boost for item in boosted] == [10.0, *[0.0] * (len(plain) - 2), -10.0]
    assert boosted[0].score == pytest.approx(last.score + 10.0)
    assert client.recommend(READER, boosts={4711: 1}).items == plain[:10]


def test_pins_come_first_if_they_may_be_in_the_list(client: Client) -> None:
    plain = ids(whole_list(client))
    had = did(client, READER)[0].item
    pins = [plain[5], had, "nobody-touched-it", plain[3]]
    pinned = whole_list(client, pins=iter(pins))
    rest = [item for item in plain if item not in pins]
    assert ids(pinned) == [plain[5], plain[3], *rest]
    assert [item.pinned for item in pinned] == [True, True, *[False] * len(rest)]
    seen_too = whole_list(client, pins=pins, exclude_seen=False)
    assert ids(seen_too)[:3] == [plain[5], had, plain[3]]


def test_diversity_orders_anew_and_says_of_how_many(client: Client) -> None:
    plain, diverse = whole_list(client), whole_list(client, diversity=0.9)
    assert ids(diverse) != ids(plain) and sorted(ids(diverse)) == sorted(ids(plain))
    assert whole_list(client, diversity=0.0) == plain
    explained = client.recommend(READER, k=5, diversity=0.9, explain=True)
    assert ids(explained.items) == ids(diverse[:5])
    assert explained.explanation is not None
    assert explained.explanation.pool_size == len(plain)
    assert explained.explanation.pool_proven is True
    without = client.recommend(READER, explain=True).explanation
    assert without is not None and (without.pool_size, without.pool_proven) == (None, None)


def test_similar_items_are_as_diverse_as_asked(client: Client) -> None:
    plain = client.similar("i2", k=30).items
    diverse = client.similar("i2", k=30, diversity=0.9).items
    assert ids(diverse) != ids(plain) and sorted(ids(diverse)) == sorted(ids(plain))
    assert diverse[0] == plain[0]
    assert client.similar("i2", k=30, diversity=0.0).items == plain
    page = client.similar("i2", k=5, offset=3, diversity=0.9, exclude=["i1"]).items
    whole = client.similar("i2", k=30, diversity=0.9, exclude=["i1"]).items
    assert page == whole[3:8]
    with pytest.raises(InvalidRequest, match="diversity"):
        client.similar("i2", diversity=-0.5)


def test_lists_of_sessions_and_of_many_are_arranged_too(client: Client) -> None:
    plain = client.recommend_session(["i1", "i8"], k=30).items
    asked: dict[str, Any] = {"boosts": {plain[9].item: 10.0}, "pins": [plain[8].item]}
    top = [plain[8].item, plain[9].item]
    session = client.recommend_session(["i1", "i8"], diversity=0.1, k=2, **asked)
    assert ids(session.items) == top
    many = list(client.recommend_many(READERS, k=2, exclude_seen=False, **asked))
    assert [ids(found.items) for found in many] == [top] * len(READERS)


def test_a_score_is_the_sum_of_what_the_items_of_the_history_bring(client: Client) -> None:
    had = {row.item for row in did(client, READER)}
    boost = {whole_list(client)[0].item: 0.25}
    for item in whole_list(client, explain=True, boosts=boost):
        assert item.because is not None and item.others is not None and len(item.because) == 5
        assert {share.item for share in item.because} <= had
        assert all(share.title == f"Item {share.item[1:]}" for share in item.because)
        sizes = [abs(share.share) for share in item.because]
        assert sizes == sorted(sizes, reverse=True)
        added_up = sum(share.share for share in item.because) + item.others + item.boost
        assert added_up == pytest.approx(item.score, abs=1e-5)
    session = client.recommend_session(["i1", "i8"], explain=True, because=1).items
    assert all(item.because is not None and len(item.because) == 1 for item in session)
    assert all(item.because == () for item in whole_list(client, explain=True, because=0))
    assert all(item.because is None and item.others is None for item in whole_list(client))
    popular = client.recommend("nobody-knows-them", explain=True)
    assert popular.source == "popular" and popular.items[0].because is None


def test_what_is_out_of_bounds_is_refused(client: Client) -> None:
    asked: dict[str, Any]
    for asked, field in (
        ({"boosts": {"i1": 1e7}}, "boosts"),
        ({"pins": ["i1", "i1"]}, "pins"),
        ({"diversity": 1.5}, "diversity"),
        ({"because": 3}, "because"),
        ({"because": 1001, "explain": True}, "because"),
    ):
        with pytest.raises(InvalidRequest, match=field):
            client.recommend(READER, **asked)
    with pytest.raises(ValueError):
        client.recommend(READER, boosts={"i1": float("inf")})
    twice: dict[Id, float] = {1: 1.0, "1": 2.0}
    with pytest.raises(ValueError, match="twice"):
        client.recommend(READER, boosts=twice)
    with pytest.raises(TypeError, match="pins"):
        client.recommend(READER, pins="i1")
