"""What is said about people, and of whom anything is held."""

import httpx
import pytest

from recant_client import (
    Client,
    ExportedUser,
    Forbidden,
    InvalidRequest,
    PropertyValue,
    User,
    UserNotFound,
)

from .conftest import ADMIN, READER, READERS, Clients, Server, did

SAID: dict[str, PropertyValue] = {"city": "Turin", "age": 41, "height": 1.68, "member": True}


def test_an_export_comes_in_rows_whatever_the_http_client_prefers(
    client: Client, server: Server
) -> None:
    headers = {"accept": "application/json"}
    http = httpx.Client(trust_env=False, headers=headers)
    with Client(server.url, api_key=ADMIN, http=http) as other:
        rows = other.export(READERS[0])
    assert len(rows) > 1 and rows == client.export(READERS[0])


def test_what_is_said_about_somebody_is_kept_exported_and_erased_with_them(
    client: Client, somebody: str
) -> None:
    held = did(client, somebody)
    assert client.put_user(somebody, SAID) == SAID
    assert client.user(somebody) == User(somebody, SAID, len(held))
    first, *rest = client.export(somebody)
    assert isinstance(first, ExportedUser) and (first.user, first.properties) == (somebody, SAID)
    assert rest == held
    assert "Turin" not in repr(client.user(somebody)) + repr(first)
    client.erase_user(somebody)
    assert client.export(somebody) == ()
    with pytest.raises(UserNotFound):
        client.user(somebody)


@pytest.mark.parametrize("user", ["a/b+c", ".", "..", "\u00fc +&?%#", 7])
def test_somebody_of_whom_nothing_else_is_held_is_there_until_nothing_is_said(
    client: Client, user: str | int
) -> None:
    client.put_user(user, SAID)
    assert client.user(user) == User(str(user), SAID, 0)
    assert str(user) in [listed.user for listed in client.users(page=7)]
    assert client.put_user(user, {}) == {}
    with pytest.raises(UserNotFound):
        client.user(user)


def test_somebody_is_restricted_kept_and_processed_again(client: Client, somebody: str) -> None:
    held = did(client, somebody)
    restriction = client.restrict([somebody], wait=30)
    state = restriction.wait_until_certified()
    assert (state.kind, state.erased_at) == ("restriction", None) and state.restricted_at
    receipt = restriction.verified_receipt()
    assert (receipt.kind, receipt.erased_at) == ("restriction", None)
    assert not receipt.is_about(restriction.receipt_salt or "", restriction.names)
    assert client.recommend(somebody).source == "popular"
    assert client.user(somebody) == User(somebody, {}, len(held), restricted=True)
    first, *rest = client.export(somebody)
    assert isinstance(first, ExportedUser) and first.restricted
    assert sorted(map(repr, rest)) == sorted(map(repr, held))
    assert client.lift_restrictions([somebody]).tzinfo is not None
    assert not client.user(somebody).restricted
    with pytest.raises(ValueError):
        client.restrict([])


def test_everybody_is_listed_once_in_order(client: Client) -> None:
    users = [listed.user for listed in client.users(page=50)]
    assert len(users) > 100 and users == sorted(set(users))


def test_what_cannot_be_said_is_refused_and_who_may_not_see_it_does_not(
    client: Client, clients: Clients, server: Server
) -> None:
    with pytest.raises(InvalidRequest) as wrong:
        client.put_user("ada", {"not a name": 1})
    assert wrong.value.code == "invalid_body"
    with pytest.raises(ValueError):
        client.put_user("ada", {"age": float("nan")})
    reader = clients(server.url, api_key=READER)
    for call in (
        lambda: reader.user("ada"),
        lambda: reader.put_user("ada", SAID),
        lambda: list(reader.users()),
    ):
        with pytest.raises(Forbidden):
            call()
