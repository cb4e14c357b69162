"""Erasures: from a name to a receipt that holds."""

import pytest

from recant_client import (
    Client,
    Erasure,
    ErasureNotFound,
    IdempotencyKeyReused,
    InvalidRequest,
    Item,
    Names,
    Pair,
    ReceiptError,
    Retries,
    WaitTimeout,
    check_chain,
    verify_receipt,
)

from .conftest import ADMIN, Clients, Server, did


def test_a_user_is_erased_and_the_receipt_says_so(client: Client, somebody: str) -> None:
    assert client.export(somebody)
    erasure = client.erase_user(somebody)
    assert client.export(somebody) == ()
    forgotten = erasure.wait_until_forgotten(30)
    assert forgotten.is_forgotten and forgotten.model_version_after is not None
    assert client.recommend(somebody).source == "popular"
    certified = erasure.wait_until_certified(60)
    assert certified.is_certified and certified.certificate is not None
    receipt = erasure.verified_receipt()
    assert (receipt.kind, receipt.erasure_id) == ("user", erasure.id)
    assert receipt.certificate.is_proof
    assert receipt.accepted_at <= receipt.forgotten_at <= receipt.certified_at
    assert receipt.accepted_at == erasure.accepted.accepted_at
    assert receipt.compact == erasure.receipt().strip()


def test_every_kind_of_name_has_a_receipt_about_it(client: Client, somebody: str) -> None:
    client.items.put(Item("short-lived"))
    erasures: list[tuple[str, Erasure]] = [
        (
            "pairs",
            client.erase_interactions([Pair(somebody, "i1"), (somebody, "i2"), (somebody, "i1")]),
        ),
        ("item", client.erase_item("no-such-item")),
        ("item", client.items.delete("short-lived")),
        ("user", client.erase(Names(users=[" nobody\u00a0"]))),
        ("user", client.erase(Names(users=[4711]))),
        (
            "several",
            client.erase(
                Names(
                    users=["z", "é", "a", "z"],
                    items=["none-such", "\U0001f600", "\uffff"],
                    interactions=[("b", "y"), ("b", "x")],
                )
            ),
        ),
    ]
    receipts = []
    for kind, erasure in erasures:
        receipt = erasure.verified_receipt()
        assert receipt.kind == kind
        salt = erasure.receipt_salt
        assert salt is not None and not receipt.is_about(salt, Names(users=["somebody else"]))
        receipts.append(receipt)
    chain = check_chain(receipts)
    assert chain.holds and chain.links >= len(receipts) - 1 - len(chain.gaps)


def test_pairs_leave_the_rest_of_a_user(client: Client, somebody: str) -> None:
    before = {row.item for row in did(client, somebody)}
    gone = sorted(before)[:3]
    client.erase_interactions([(somebody, item) for item in gone], wait=30)
    assert {row.item for row in did(client, somebody)} == before - set(gone)


def test_whoever_waits_is_answered_when_the_model_has_forgotten(
    client: Client, somebody: str
) -> None:
    erasure = client.erase_user(somebody, wait=30)
    assert erasure.accepted.status in ("forgotten", "certified")


def test_the_same_key_is_the_same_erasure(client: Client, clients: Clients, somebody: str) -> None:
    key = f"a key for {somebody}"
    first = client.erase_user(somebody, idempotency_key=key)
    second = client.erase_user(somebody, idempotency_key=key)
    assert (first.id, first.receipt_salt) == (second.id, second.receipt_salt)
    assert first.idempotency_key == key
    assert client.erase_user(somebody).id != first.id
    with pytest.raises(IdempotencyKeyReused):
        client.erase_item("i1", idempotency_key=key)


def test_a_wait_that_is_too_short_says_how_far_it_came(
    server: Server, clients: Clients, somebody: str
) -> None:
    client = clients(server.url, api_key=ADMIN, retries=Retries(attempts=1))
    erasure = client.erase_user(somebody)
    with pytest.raises(WaitTimeout, match="not certified yet") as early:
        while True:
            # The first look may come too late: the next erasure is caught earlier.
            erasure.wait_until_certified(0)
            erasure = client.erase_user(somebody)
    assert early.value.state.id == erasure.id
    assert erasure.wait_until_certified(60).is_certified


def test_erasures_are_listed_newest_first(client: Client, somebody: str) -> None:
    first = client.erase_interactions([(somebody, "i1")])
    last = client.erase_interactions([(somebody, "i2")])
    last.wait_until_certified(60)
    ids = [state.id for state in client.erasures.list(page=2)]
    assert ids.index(last.id) < ids.index(first.id)
    certified = list(client.erasures.list(status="certified"))
    assert last.id in [state.id for state in certified]
    assert all(state.is_certified for state in certified)
    assert client.erasures.get(first.id).id == first.id


def test_what_is_no_erasure_is_not_found(client: Client) -> None:
    with pytest.raises(ErasureNotFound):
        client.erasures.get("019381e4-6c1c-7a51-a38b-8f0e6a4b6f3a")
    with pytest.raises(InvalidRequest) as wrong:
        client.erasures.get("../model")
    assert wrong.value.code == "invalid_erasure_id"
    with pytest.raises(ValueError, match="nothing"):
        client.erase(Names())


def test_a_receipt_is_refused_under_other_keys_and_when_it_was_changed(
    client: Client, somebody: str
) -> None:
    erasure = client.erase_user(somebody)
    receipt = erasure.verified_receipt()
    jwks = client.jwks()
    assert verify_receipt(receipt.compact, jwks) == receipt
    assert erasure.verified_receipt(jwks) == receipt
    with pytest.raises(ReceiptError, match="not among"):
        erasure.verified_receipt({"keys": []})
    head, claims, signature = receipt.compact.split(".")
    for at in range(0, len(claims), 101):
        changed = claims[:at] + ("A" if claims[at] != "A" else "B") + claims[at + 1 :]
        with pytest.raises(ReceiptError):
            verify_receipt(f"{head}.{changed}.{signature}", jwks)


def test_nothing_of_whom_it_is_about_is_shown(client: Client, somebody: str) -> None:
    erasure = client.erase_user(somebody)
    shown = repr([erasure, erasure.accepted, erasure.names, erasure.state()])
    assert erasure.receipt_salt is not None
    assert somebody not in shown and erasure.receipt_salt not in shown
