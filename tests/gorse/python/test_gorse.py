"""The calls of PyGorse, its synchronous and its asynchronous client, as their own tests make them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from gorse import Gorse, GorseException

from conftest import ADMIN, PROGRAM, Server, until
from movielens import Films


def now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def refused(call: Callable[[], Any]) -> GorseException:
    with pytest.raises(GorseException) as raised:
        call()
    return raised.value


def own_number(client: Any) -> int:
    """A number for each of the two clients, where both may not change the same."""
    return 0 if isinstance(client, Gorse) else 1


def test_users_are_listed_added_and_deleted(client: Any, films: Films) -> None:
    users, cursor = client.get_users(3)
    assert users == films.users[:3]
    assert cursor
    more, _ = client.get_users(2, cursor)
    assert more == films.users[3:5]
    user = {
        "UserId": "1000",
        "Labels": {"gender": "M", "occupation": "engineer"},
        "Comment": "somebody",
    }
    assert client.insert_user(user)["RowAffected"] == 1
    assert client.get_user("1000") == user
    assert client.delete_user("1000")["RowAffected"] == 1
    absent = refused(lambda: client.get_user("1000"))
    assert (absent.status_code, absent.message) == (404, "user 1000 not found")


def test_items_are_listed_added_changed_and_deleted(client: Any, films: Films) -> None:
    items, cursor = client.get_items(3)
    assert items == films.items[:3]
    assert cursor
    more, _ = client.get_items(2, cursor)
    assert more == films.items[3:5]
    item = {
        "ItemId": "2000",
        "IsHidden": True,
        "Labels": {"embedding": [0.1, 0.2, 0.3]},
        "Categories": ["Comedy", "Animation"],
        "Timestamp": now(),
        "Comment": "Minions (2015)",
    }
    assert client.insert_item(item)["RowAffected"] == 1
    assert client.get_item("2000") == item
    assert client.update_item("2000", comment="小黄人 (2015)")["RowAffected"] == 1
    assert client.get_item("2000") == item | {"Comment": "小黄人 (2015)"}
    assert client.delete_item("2000")["RowAffected"] == 1
    absent = refused(lambda: client.get_item("2000"))
    assert (absent.status_code, absent.message) == (404, "item 2000 not found")


def test_items_are_found_by_their_titles(client: Any, films: Films) -> None:
    sought = films.items[1]
    title = sought["Comment"]
    found = client.search_items(title.upper(), 3)
    assert found[0] == sought and len(found) <= 3
    words = title.lower().split()
    assert all(word in item["Comment"].lower() for item in found for word in words)


def test_feedback_is_shown_at_once_and_deleted(client: Any) -> None:
    # What was erased stays away for the rest of the second that it was dated.
    user = str(2000 + own_number(client))
    client.insert_user({"UserId": user})
    for item in ("1", "10", "100"):
        assert client.delete_feedback(user, item)["RowAffected"] == 1
    feedback = [
        {
            "FeedbackType": "watch",
            "UserId": user,
            "ItemId": item,
            "Value": value,
            "Timestamp": now(),
            "Comment": "",
        }
        for item, value in (("1", 1.0), ("10", 2.0), ("100", 3.0))
    ]
    assert client.insert_feedbacks(feedback)["RowAffected"] == 3
    held = client.list_feedbacks("watch", user)
    assert [(row["ItemId"], row["Value"]) for row in held] == [("1", 1), ("10", 2), ("100", 3)]
    assert client.delete_feedback(user, "1")["RowAffected"] == 1
    held = client.list_feedbacks("watch", user)
    assert [row["ItemId"] for row in held] == ["10", "100"]
    assert client.insert_feedback("like", user, "11", now())["RowAffected"] == 1
    assert len(client.list_feedbacks("like", user)) == 1
    unknown = refused(lambda: client.insert_feedback("love", user, "1", now()))
    assert unknown.status_code == 400 and "feedback.types" in unknown.message


def test_all_feedback_is_paged(client: Any) -> None:
    seen = set()
    cursor = ""
    while True:
        page, cursor = client.get_feedbacks(700, cursor)
        keys = {(row["UserId"], row["FeedbackType"], row["ItemId"]) for row in page}
        assert len(keys) == len(page) and not keys & seen
        seen |= keys
        if not cursor:
            break
    assert len({user for user, _, _ in seen}) >= 100


def test_neighbours_of_an_item_are_others(client: Any, films: Films) -> None:
    item = films.items[0]["ItemId"]
    neighbours = client.get_neighbors(item, 3)
    assert len({neighbour["Id"] for neighbour in neighbours} - {item}) == 3
    scores = [neighbour["Score"] for neighbour in neighbours]
    assert scores == sorted(scores, reverse=True)
    assert client.get_neighbors(item, 2, 1) == neighbours[1:]


def test_recommendations_are_for_known_and_unknown_users(client: Any, films: Films) -> None:
    client.insert_user({"UserId": "3000"})
    fallback = client.get_recommend("3000", n=3)
    assert len(fallback) == 3
    own = client.get_recommend("1", n=3)
    assert len(own) == 3 and all(score.score == float(score.score) for score in own)
    assert client.get_recommend("1", n=2, offset=1)[0].id == own[1].id
    genres = {item["ItemId"]: item["Categories"] for item in films.items}
    dramas = client.get_recommend("1", "Drama", n=5)
    assert dramas and all("Drama" in genres[score.id] for score in dramas)


def test_what_was_written_back_leaves_the_list(client: Any) -> None:
    user = str(20 + own_number(client))
    later = client.get_recommend(user, n=3, write_back_type="read", write_back_delay="10m")
    assert len(later) == 3
    written = {score.id for score in client.get_recommend(user, n=3, write_back_type="read")}
    until(lambda: not written & {score.id for score in client.get_recommend(user, n=3)})


def test_sessions_have_recommendations(client: Any) -> None:
    session = [
        {"FeedbackType": "star", "UserId": "", "ItemId": item, "Timestamp": now()}
        for item in ("1", "2", "3")
    ]
    found = client.session_recommend(session, 5)
    assert len(found) == 5
    assert not {score["Id"] for score in found} & {"1", "2", "3"}


def test_a_program_reads_nothing_of_people(clients: Callable[[str], Any]) -> None:
    program = clients(PROGRAM)
    assert program.insert_user({"UserId": "4000"})["RowAffected"] == 1
    assert program.insert_feedback("star", "4000", "1", now())["RowAffected"] == 1
    assert len(program.get_recommend("4000", n=3)) == 3
    for call in (
        lambda: program.get_user("4000"),
        lambda: program.get_users(1),
        lambda: program.get_feedbacks(1),
        lambda: program.list_feedbacks("star", "4000"),
    ):
        assert refused(call).status_code == 403
    assert refused(lambda: clients("no key").get_item("1")).status_code == 401
    assert program.delete_user("4000")["RowAffected"] == 1


def test_everything_moves_by_the_client(server: Server, tmp_path: Path) -> None:
    def pages(page: Callable[[int, str], Any]) -> Iterator[list[Any]]:
        cursor = ""
        while True:
            rows, cursor = page(1000, cursor)
            yield rows
            if not cursor:
                return

    new_server = Server(tmp_path)
    try:
        until(lambda: new_server.get("/api/health/ready").status_code == 200)
        old, new = Gorse(server.url, ADMIN), Gorse(new_server.url, ADMIN)
        for users in pages(old.get_users):
            new.insert_users(users)
        for items in pages(old.get_items):
            for item in items:
                new.insert_item(item)
        for feedback in pages(old.get_feedbacks):
            new.insert_feedbacks(feedback)
        for one, other in (
            (old.get_users, new.get_users),
            (old.get_items, new.get_items),
            (old.get_feedbacks, new.get_feedbacks),
        ):
            assert list(pages(one)) == list(pages(other))
    finally:
        new_server.stop()


def test_a_user_who_is_deleted_is_forgotten_with_a_receipt(
    client: Any, server: Server, films: Films
) -> None:
    user = films.users[-1 - own_number(client)]["UserId"]
    assert client.get_user(user)["Labels"]
    erased = client.delete_user(user)
    assert refused(lambda: client.get_user(user)).status_code == 404
    assert client.list_feedbacks("star", user) == []
    erasure = f"/erasures/{erased['ErasureId']}"
    until(lambda: server.get(erasure).json()["status"] == "certified")
    receipt, keys = server.folder / "receipt.jws", server.folder / "jwks.json"
    receipt.write_text(server.get(f"{erasure}/receipt").text)
    keys.write_text(json.dumps(server.get("/.well-known/jwks.json").json()))
    verify = [server.binary, "verify", str(receipt), "--jwks", str(keys)]
    about = ["--salt", erased["ReceiptSalt"], "--user"]
    done = subprocess.run([*verify, *about, user], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    other = subprocess.run([*verify, *about, "another"], capture_output=True, check=False)
    assert other.returncode != 0
    assert ADMIN not in (server.folder / "log").read_text()
