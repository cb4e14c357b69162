"""Receipts, checked without the service that signed them.

A receipt is a compact JWS (RFC 7515, RFC 8037). PyJWT reads it and checks the signature; what is left
is written here as the service's documentation of receipts draws it: which header and key are meant,
the commitment to what was erased, and the chain.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import jwt

from ._fields import Fields
from .errors import ReceiptError, UnexpectedAnswer
from .models import Certificate, Id, Names, Pair

#: The only algorithm (RFC 8037): Ed25519 is the only curve of a key that is taken.
_ALGORITHM: Final = "EdDSA"
_TYPE: Final = "recant-receipt+jwt"
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
#: Real ones have some 1 500.
_BYTES_MAX: Final = 64 * 1024

COMMITMENT_METHOD: Final = "recant-erasure-commitment-1+HMAC-SHA-256"
_COMMITMENT_DOMAIN: Final = b"recant erasure commitment 1"
_SALT_BYTES: Final = 32
#: What the service leaves out around an id: white space as Unicode has it, and the byte order mark.
_BLANKS: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt whose signature holds. It attests what the signer says; that is not a proof."""

    #: Who signed: the configured name of the service.
    issuer: str
    signed_at: datetime
    erasure_id: str
    #: What kind of thing was named: `pairs`, `typed_pairs`, `user`, `item`, `several` or
    #: `several_typed`.
    kind: str
    #: The salted commitment to what was named; `None` of an erasure from before there were any.
    commitment: str | None = field(repr=False)
    accepted_at: datetime
    erased_at: datetime
    forgotten_at: datetime
    certified_at: datetime
    model_version_before: int
    model_version_after: int
    #: The version that the certificate is about.
    model_version_certified: int
    certificate: Certificate
    #: The place in the chain; the first is 1.
    sequence: int
    #: The hash of the receipt before this one; `None` in the first.
    previous: str | None
    #: The hash of this receipt, as the next one names it.
    hash: str
    #: The thumbprint of the key that it is signed with.
    key_id: str
    #: The receipt itself.
    compact: str = field(repr=False)
    #: All claims, those that this client does not know too.
    claims: Mapping[str, Any] = field(repr=False)

    def is_about(self, salt: str, names: Names) -> bool:
        """Whether the salt from the answer to the request opens the commitment to `names`."""
        expected = commitment(salt, names)
        return self.commitment is not None and hmac.compare_digest(self.commitment, expected)


def verify_receipt(compact: str, jwks: Mapping[str, Any]) -> Receipt:
    """Checks that a receipt is signed by one of the keys, which are a JSON Web Key Set as
    `/.well-known/jwks.json` shows it.

    Raises `ReceiptError` when it does not hold. Whether its certificate reaches the target, and what
    it is about, are questions of their own: `Receipt.certificate`, `Receipt.is_about`.
    """
    if len(compact) > _BYTES_MAX:
        raise ReceiptError("it is too long to be a receipt")
    compact = compact.strip()
    _check_form(compact)
    head = _check_header(compact)
    try:
        key = _key(jwks, head["kid"])
        token = jwt.PyJWS().decode_complete(compact, key, algorithms=[_ALGORITHM])
    except jwt.InvalidSignatureError:
        raise ReceiptError(
            "the signature does not hold: the receipt was changed, or never signed by this key"
        ) from None
    except jwt.PyJWTError:
        raise ReceiptError("it is no compact JWS that this client understands") from None
    return _read(compact, head["kid"], token["payload"])


def _check_form(compact: str) -> None:
    """Refuses a text that has a second form: the chain hashes the text."""
    if _COMPACT.fullmatch(compact) is None:
        raise ReceiptError("it is no compact JWS: three parts of base64url with dots between them")
    for part in compact.split("."):
        try:
            canonical = _encode(_decode(part))
        except ValueError:
            canonical = ""
        if canonical != part:
            raise ReceiptError("one of its parts is no base64url")


def _check_header(compact: str) -> dict[str, str]:
    head = _json_object(_decode(compact.split(".", 1)[0]), "header")
    if head.get("alg") != _ALGORITHM or head.get("typ") != _TYPE or "crit" in head:
        raise ReceiptError("its header is not that of a receipt")
    if not isinstance(head.get("kid"), str):
        raise ReceiptError("its header names no key")
    return head


def _key(jwks: Mapping[str, Any], key_id: str) -> jwt.PyJWK:
    """The key with this thumbprint (RFC 7638), which is computed, whatever the set claims."""
    keys = jwks.get("keys")
    for key in keys if isinstance(keys, Sequence) else ():
        is_ed25519 = (
            isinstance(key, Mapping) and key.get("kty") == "OKP" and key.get("crv") == "Ed25519"
        )
        if is_ed25519 and isinstance(key.get("x"), str):
            public = {"crv": "Ed25519", "kty": "OKP", "x": key["x"]}
            text = json.dumps(public, sort_keys=True, separators=(",", ":"))
            if _hash(text.encode()) == key_id:
                return jwt.PyJWK(public, algorithm=_ALGORITHM)
    raise ReceiptError("it is signed with a key that is not among those given")


def _read(compact: str, key_id: str, payload: bytes) -> Receipt:
    claims = _json_object(payload, "claims")
    try:
        fields = Fields(claims)
        commitment = fields.some("commitment", _commitment_value)
        receipt = Receipt(
            issuer=fields.text("iss"),
            signed_at=datetime.fromtimestamp(fields.whole("iat"), UTC),
            erasure_id=fields.text("jti"),
            kind=fields.text("kind"),
            commitment=commitment,
            accepted_at=fields.time("accepted_at"),
            erased_at=fields.time("erased_at"),
            forgotten_at=fields.time("forgotten_at"),
            certified_at=fields.time("certified_at"),
            model_version_before=fields.whole("model_version_before"),
            model_version_after=fields.whole("model_version_after"),
            model_version_certified=fields.whole("model_version_certified"),
            certificate=fields.one("certificate", Certificate.read),
            sequence=fields.whole("sequence"),
            previous=fields.some_text("previous"),
            hash=_hash(compact.encode()),
            key_id=key_id,
            compact=compact,
            claims=claims,
        )
    except (UnexpectedAnswer, OverflowError, OSError, ValueError):
        raise ReceiptError("its claims are not those of a receipt") from None
    if receipt.sequence < 1 or (receipt.sequence == 1) != (receipt.previous is None):
        raise ReceiptError("its place in the chain is none")
    return receipt


def _commitment_value(fields: Fields) -> str:
    if fields.text("method") != COMMITMENT_METHOD:
        raise ReceiptError("its commitment is made in a way that this client does not know")
    return fields.text("value")


def _json_object(text: bytes, part: str) -> dict[str, Any]:
    """The object; a name that comes twice would mean one thing to one reader and another to the next."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) != len(pairs):
            raise ValueError
        return fields

    try:
        value = json.loads(text.decode(), object_pairs_hook=unique)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ReceiptError(f"its {part} cannot be read")
    return value


def commitment(salt: str, names: Names) -> str:
    """The commitment to `names` under the `receipt_salt` of the answer to a request."""
    try:
        key = _decode(salt)
    except ValueError:
        key = b""
    if len(key) != _SALT_BYTES:
        raise ValueError("this is no salt: take receipt_salt from the answer to the request")
    message = b"".join(struct.pack(">I", len(part)) + part for part in _committed(names))
    return _encode(hmac.new(key, message, hashlib.sha256).digest())


def _committed(names: Names) -> Iterable[bytes]:
    """The fields of the message. A request means the same however it is written, so the kind is that
    of what it names."""
    users, items = [_id(user) for user in names.users], [_id(item) for item in names.items]
    pairs, typed = set[tuple[bytes, ...]](), set[tuple[bytes, ...]]()
    for pair in (Pair(*given) for given in names.interactions):
        sides = _id(pair.user), _id(pair.item)
        if pair.type is None:
            pairs.add(sides)
        else:
            typed.add((*sides, pair.type.encode()))
    yield _COMMITMENT_DOMAIN
    match (len(users), len(items), len(pairs), len(typed)):
        case (1, 0, 0, 0):
            yield from (b"user", users[0])
        case (0, 1, 0, 0):
            yield from (b"item", items[0])
        case (0, 0, _, 0):
            yield b"pairs"
        case (0, 0, 0, _):
            yield b"typed_pairs"
        case _:
            yield b"several_typed" if typed else b"several"
            for ids in (set(users), set(items)):
                yield _count(len(ids))
                yield from sorted(ids)
            if typed:
                yield _count(len(pairs))
    for named in (*sorted(pairs), *sorted(typed)):
        yield from named


def _count(number: int) -> bytes:
    return struct.pack(">I", number)


def _id(given: Id) -> bytes:
    return str(given).strip(_BLANKS).encode()


@dataclass(frozen=True, slots=True)
class Chain:
    """How some receipts of one service hang together."""

    #: Links between two receipts that were checked and hold.
    links: int
    #: Numbers of receipts that are not here, as first and last, so that what lies beside them could
    #: not be checked.
    gaps: tuple[tuple[int, int], ...]
    #: Numbers that two different receipts have: the chain was continued twice from one place.
    forks: tuple[int, ...]
    #: Receipts that do not follow the one before them, which is here.
    broken: tuple[int, ...]

    @property
    def holds(self) -> bool:
        """Whether all that can be checked holds."""
        return not self.forks and not self.broken

    @property
    def is_complete(self) -> bool:
        """Whether these are all the receipts up to the last of them."""
        return not self.gaps


def check_chain(receipts: Iterable[Receipt]) -> Chain:
    """Checks the links between verified receipts of one service, in any order."""
    by_number: dict[int, Receipt] = {}
    forks: set[int] = set()
    for receipt in receipts:
        other = by_number.setdefault(receipt.sequence, receipt)
        if other.hash != receipt.hash:
            forks.add(receipt.sequence)
    links, gaps, broken = 0, [], []
    before, hash_before = 0, None
    for number, receipt in sorted(by_number.items()):
        if number > before + 1:
            gaps.append((before + 1, number - 1))
        elif receipt.previous != hash_before:
            broken.append(number)
        elif hash_before is not None:
            links += 1
        before, hash_before = number, receipt.hash
    return Chain(links, tuple(gaps), tuple(sorted(forks)), tuple(broken))


def _hash(data: bytes) -> str:
    return _encode(hashlib.sha256(data).digest())


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    padded = text.encode("ascii") + b"=" * (-len(text) % 4)
    return base64.b64decode(padded, altchars=b"-_", validate=True)
