"""Receipts that never came from a service: forged, mangled, out of order."""

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recant_client import (
    Names,
    Receipt,
    ReceiptError,
    Settlement,
    check_chain,
    commitment,
    verify_receipt,
    verify_settlement,
)

SECRET = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SALT = base64.urlsafe_b64encode(bytes(range(32))).rstrip(b"=").decode()


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


X = encode(SECRET.public_key().public_bytes_raw())
KEY_ID = encode(hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{X}"}}'.encode()).digest())
JWKS = {
    "keys": [{"kty": "RSA"}, "no key", {"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "whatever"}]
}
HEAD = {"alg": "EdDSA", "typ": "recant-receipt+jwt", "kid": KEY_ID}


def claims(**changed: Any) -> dict[str, Any]:
    return {
        "iss": "recant",
        "iat": 1_700_000_000,
        "jti": "019381e4-6c1c-7a51-a38b-8f0e6a4b6f3a",
        "kind": "user",
        "pairs": None,
        "commitment": {
            "method": "recant-erasure-commitment-1+HMAC-SHA-256",
            "value": commitment(SALT, Names(users=["ada"])),
        },
        **dict.fromkeys(
            ["accepted_at", "erased_at", "forgotten_at", "certified_at"], "2026-01-31T12:00:00.000Z"
        ),
        **dict.fromkeys(
            ["model_version_before", "model_version_after", "model_version_certified"], 3
        ),
        "certificate": {
            "kind": "residual",
            "residual": 1e-5,
            "tolerance": 1e-4,
            "note": "measured",
        },
        "generation": 1,
        "scan": {"method": "records", "clean": True},
        "sequence": 1,
        "previous": None,
        "new in a later version": {},
    } | changed


def sign(head: object, payload: object) -> str:
    parts = [
        part if isinstance(part, bytes) else json.dumps(part).encode() for part in (head, payload)
    ]
    signed = ".".join(encode(part) for part in parts)
    return f"{signed}.{encode(SECRET.sign(signed.encode()))}"


def receipt(**changed: Any) -> Receipt:
    return verify_receipt(sign(HEAD, claims(**changed)), JWKS)


def test_a_receipt_that_holds_is_read() -> None:
    read = receipt()
    assert (read.issuer, read.kind, read.sequence, read.key_id) == ("recant", "user", 1, KEY_ID)
    assert read.is_about(SALT, Names(users=["ada"]))
    assert not read.is_about(SALT, Names(users=["bob"]))
    assert not read.is_about(encode(bytes(32)), Names(users=["ada"]))
    assert read.certificate.is_good and not read.certificate.is_proof
    assert "value" not in repr(read)


def test_the_commitment_is_the_one_that_the_documentation_shows() -> None:
    value = "jbCb3QNXfGSXzYI9sorqOh5tK2uVJRq6nNH0OFuNnxI"
    assert commitment(SALT, Names(users=["ada"])) == value
    assert commitment(SALT, Names(users=["\ufeff ada\u3000"])) == value
    assert commitment(SALT, Names(items=["ada"])) != value
    pairs = [("b", "x"), ("a", "y"), ("a", "x")]
    once = commitment(SALT, Names(interactions=pairs))
    assert once == commitment(SALT, Names(interactions=[*reversed(pairs), ("b", "x")]))
    with pytest.raises(ValueError, match="salt"):
        commitment("too short", Names(users=["ada"]))


def test_a_receipt_of_a_restriction_says_so_and_is_none_of_an_erasure() -> None:
    users, time = Names(users=[" ada ", "ada"]), "2026-01-31T12:00:00.000Z"
    value = commitment(SALT, users, restriction=True)
    assert value == "1Gs24kIbclqIsn--1psdtDvzD7AnrI5aaVsuVHAINag"
    said = {"method": "recant-erasure-commitment-1+HMAC-SHA-256", "value": value}
    changed = {"kind": "restriction", "commitment": said, "restricted_at": time}
    kept = receipt(**changed, erased_at=None)
    assert kept.erased_at is None and kept.restricted_at is not None
    assert kept.is_about(SALT, users, restriction=True) and not kept.is_about(SALT, users)
    for bad in (changed, changed | {"kind": "user"}, {"erased_at": None}):
        with pytest.raises(ReceiptError):
            receipt(**bad)
    with pytest.raises(ValueError):
        commitment(SALT, Names(items=["ada"]), restriction=True)


@pytest.mark.parametrize(
    "head",
    [
        HEAD | {"alg": "none"},
        HEAD | {"alg": "HS256"},
        HEAD | {"typ": "JWT"},
        HEAD | {"crit": ["exp"], "exp": 1},
        HEAD | {"kid": "of-another-key"},
        {"alg": "EdDSA", "typ": "recant-receipt+jwt"},
        [],
        b"not json",
        json.dumps(HEAD).replace("{", '{"alg": "none", ', 1).encode(),
    ],
)
def test_another_header_is_refused(head: object) -> None:
    with pytest.raises(ReceiptError):
        verify_receipt(sign(head, claims()), JWKS)


@pytest.mark.parametrize(
    "changed",
    [
        {"sequence": 0},
        {"sequence": 2},
        {"sequence": True},
        {"previous": "a-hash"},
        {"iss": 7},
        {"iat": 10**30},
        {"accepted_at": "yesterday"},
        {"accepted_at": "2026-01-31T12:00:00"},
        {"certificate": None},
        {"commitment": {"method": "another", "value": "x"}},
    ],
)
def test_claims_that_are_not_those_of_a_receipt_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ReceiptError):
        receipt(**changed)


def test_a_text_with_a_second_form_is_refused() -> None:
    good = sign(HEAD, claims())
    assert verify_receipt(f"  {good}\n", JWKS).compact == good
    head, body, signature = good.split(".")
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # The last character of 64 bytes in base64url has four bits that say nothing.
    other = signature[:-1] + last[last.index(signature[-1]) ^ 1]
    for bad in (
        f"{head}.{body}.{other}",
        f"{head}.{body}.{signature}=",
        f"{head}.{body}.{signature}.",
        f"{head}.{body[:9]}\n{body[9:]}.{signature}",
        f"{head}.{body}",
        f"{head}.{body}.{signature[:-3]}",
        f"{head}.{encode(json.dumps(claims(kind='item')).encode())}.{signature}",
        "x" * 70_000,
        "",
    ):
        with pytest.raises(ReceiptError):
            verify_receipt(bad, JWKS)


def test_a_chain_is_checked_in_any_order() -> None:
    first = receipt()
    second = receipt(sequence=2, previous=first.hash)
    third = receipt(sequence=3, previous=second.hash)
    whole = check_chain([third, first, second, first])
    assert (whole.links, whole.holds, whole.is_complete) == (2, True, True)
    gap = check_chain([first, third])
    assert (gap.gaps, gap.holds, gap.links) == (((2, 2),), True, 0)
    assert check_chain([second, third]).gaps == ((1, 1),)
    forged = receipt(sequence=2, previous=encode(bytes(32)))
    assert check_chain([first, forged]).broken == (2,)
    fork = check_chain([first, second, receipt(sequence=2, previous=first.hash, kind="item")])
    assert fork.forks == (2,) and not fork.holds
    assert check_chain([]).is_complete


LOG = "01a22854-8302-77f1-9739-77d50d373e86"


def settlement(**changed: Any) -> Settlement:
    said = {
        "iss": "recant",
        "iat": 1_700_000_000,
        "node": "b",
        "upto": 7,
        "how": "caught_up",
        "incarnations": [LOG],
        "sequence": 1,
        "previous": None,
    }
    head = HEAD | {"typ": "recant-settlement+jwt"}
    return verify_settlement(sign(head, said | changed), JWKS)


def test_a_settlement_closes_what_a_node_owed_and_is_a_link_of_the_chain() -> None:
    among = {
        "cluster": {"incarnation": LOG, "term": 1, "entry": 7},
        "nodes": [{"node": "a", "state": "destroyed"}, {"node": "b", "state": "owing"}],
    }
    alone, opened = receipt(), receipt(**among)
    assert alone.nodes is None and alone.owed_by() == ()
    assert opened.owed_by() == ("b",)
    closing = settlement(sequence=2, previous=opened.hash)
    assert (closing.node, closing.upto, closing.how) == ("b", 7, "caught_up")
    assert opened.owed_by([closing]) == ()
    for other in ({"node": "a"}, {"upto": 6}, {"incarnations": ["another"]}):
        assert opened.owed_by([settlement(**other)]) == ("b",)
    last = receipt(sequence=3, previous=closing.hash)
    whole = check_chain([opened, closing, last])
    assert (whole.links, whole.holds, whole.is_complete) == (2, True, True)
    assert check_chain([opened, last]).gaps == ((2, 2),)


def test_a_settlement_is_no_receipt_and_a_receipt_no_settlement() -> None:
    with pytest.raises(ReceiptError):
        verify_receipt(settlement().compact, JWKS)
    with pytest.raises(ReceiptError):
        verify_settlement(receipt().compact, JWKS)
    for bad in ({"sequence": 2}, {"upto": "7"}, {"incarnations": LOG}, {"node": None}):
        with pytest.raises(ReceiptError):
            settlement(**bad)
    with pytest.raises(ReceiptError):
        receipt(nodes=[{"node": "a", "state": "owing"}])
