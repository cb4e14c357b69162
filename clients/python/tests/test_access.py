"""Keys, health, the model and the description of the service."""

import pytest

from recant_client import Forbidden, Names, Unauthenticated

from .conftest import ADMIN, ERASER, READER, READERS, Clients, Server


def test_a_key_opens_what_its_role_allows(server: Server, clients: Clients) -> None:
    assert clients(server.url, api_key=READER).recommend(READERS[0]).items
    with pytest.raises(Forbidden) as forbidden:
        clients(server.url, api_key=READER).erase_user(READERS[0])
    assert forbidden.value.code == "forbidden"
    with pytest.raises(Forbidden):
        clients(server.url, api_key=ERASER).export(READERS[0])
    for key in (None, "a-key-that-nobody-has"):
        with pytest.raises(Unauthenticated) as unknown:
            clients(server.url, api_key=key).model()
        assert unknown.value.status == 401


def test_an_erasure_is_shown_to_the_key_that_asked_for_it(
    server: Server, clients: Clients, somebody: str
) -> None:
    eraser = clients(server.url, api_key=ERASER)
    erasure = eraser.erase(Names(users=[somebody]))
    assert erasure.verified_receipt().erasure_id == erasure.id
    assert erasure.id in [state.id for state in eraser.erasures.list()]


def test_the_service_says_how_it_is_without_a_key(server: Server, clients: Clients) -> None:
    client = clients(server.url)
    health = client.health()
    assert (health.alive, health.ready, health.reason) == (True, True, None)
    client.wait_until_ready(5)
    assert client.jwks()["keys"][0]["crv"] == "Ed25519"


def test_the_live_model_is_described(server: Server, clients: Clients) -> None:
    model = clients(server.url, api_key=ADMIN).model()
    assert (model.kind, model.hyper_parameters["dim"]) == ("ials", model.dim)
    assert model.users > 0 and model.items > 0 and model.interactions > 0
    assert model.certified is not None and model.certified.age_seconds >= 0
