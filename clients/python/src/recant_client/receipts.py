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
_SETTLEMENT_TYPE: Final = "recant-settlement+jwt"
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
class ChainLink:
    """What receipts and settlements have in common: a link of their chain, whose signature holds."""

    #: Who signed: the configured name of the service.
    issuer: str
    signed_at: datetime
    #: The place in the chain; the first is 1.
    sequence: int
    #: The hash of the receipt or settlement before this one; `None` in the first.
    previous: str | None
    #: The hash of this one, as the next names it.
    hash: str
    #: The thumbprint of the key that it is signed with.
    key_id: str
    #: The receipt or the settlement itself.
    compact: str = field(repr=False)
    #: All claims, those that this client does not know too.
    claims: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Receipt(ChainLink):
    """A receipt whose signature holds. It attests what the signer says; that is not a proof."""

    erasure_id: str
    #: What kind of thing was named: `pairs`, `typed_pairs`, `user`, `item`, `several` or
    #: `several_typed`; or `restriction`, of users whose data are kept and processed no more.
    kind: str
    #: The salted commitment to what was named; `None` of an erasure from before there were any.
    commitment: str | None = field(repr=False)
    accepted_at: datetime
    #: When the data left the store; `None` of a restriction.
    erased_at: datetime | None
    #: When the data left what is processed; `None` of an erasure.
    restricted_at: datetime | None
    forgotten_at: datetime
    certified_at: datetime
    model_version_before: int
    model_version_after: int
    #: The version that the certificate is about.
    model_version_certified: int
    certificate: Certificate
    #: How the erasure stands on each node of a cluster, by name: `destroyed`, `restricted` or `owing`;
    #: `None` of a service on one machine.
    nodes: Mapping[str, str] | None = None

    def owed_by(self, settlements: Iterable[Settlement] = ()) -> tuple[str, ...]:
        """The nodes that were away and owe this erasure, but for those that have settled it by
        `settlements`, which are verified. While there are any the receipt is open."""
        owing = [node for node, state in (self.nodes or {}).items() if state == "owing"]
        known = list(settlements)
        return tuple(node for node in owing if not any(one.closes(self, node) for one in known))

    def is_about(self, salt: str, names: Names, *, restriction: bool = False) -> bool:
        """Whether the salt from the answer to the request opens the commitment to `names`, or to the
        `restriction` of its users."""
        expected = commitment(salt, names, restriction=restriction)
        return self.commitment is not None and hmac.compare_digest(self.commitment, expected)


@dataclass(frozen=True, slots=True)
class Settlement(ChainLink):
    """A settlement whose signature holds: that a node which was away owes nothing any more. It is a link
    of the same chain as receipts."""

    #: The node that was away.
    node: str
    #: It owes nothing of what entries of the cluster's log up to this one erased.
    upto: int
    #: How that came about: `caught_up`, `transferred` or `attested`.
    how: str
    #: The lives of the log over which entries are counted.
    incarnations: tuple[str, ...]

    def closes(self, receipt: Receipt, node: str) -> bool:
        """Whether `node` owes nothing any more of the erasure that `receipt` is about."""
        entry = receipt.claims.get("cluster")
        return (
            isinstance(entry, dict)
            and self.node == node
            and entry["entry"] <= self.upto
            and entry["incarnation"] in self.incarnations
        )


def verify_receipt(compact: str, jwks: Mapping[str, Any]) -> Receipt:
    """Checks that a receipt is signed by one of the keys, which are a JSON Web Key Set as
    `/.well-known/jwks.json` shows it.

    Raises `ReceiptError` when it does not hold. Whether its certificate reaches the target, and what
    it is about, are questions of their own: `Receipt.certificate`, `Receipt.is_about`; and of a cluster,
    whether every node has carried it out: `Receipt.owed_by`.
    """
    compact, key_id, payload = _open(compact, jwks, _TYPE)
    return _read(compact, key_id, payload)


def verify_settlement(compact: str, jwks: Mapping[str, Any]) -> Settlement:
    """Checks that a settlement, one line of `/receipts/settlements`, is signed by one of the keys.

    Raises `ReceiptError` when it does not hold.
    """
    compact, key_id, payload = _open(compact, jwks, _SETTLEMENT_TYPE)
    return _read_settlement(compact, key_id, payload)


def _open(compact: str, jwks: Mapping[str, Any], kind: str) -> tuple[str, str, bytes]:
    """The text without blanks, the key that it is signed with, and what it claims."""
    if len(compact) > _BYTES_MAX:
        raise ReceiptError("it is too long to be a receipt")
    compact = compact.strip()
    _check_form(compact)
    head = _check_header(compact, kind)
    try:
        key = _key(jwks, head["kid"])
        token = jwt.PyJWS().decode_complete(compact, key, algorithms=[_ALGORITHM])
    except jwt.InvalidSignatureError:
        raise ReceiptError(
            "the signature does not hold: the receipt was changed, or never signed by this key"
        ) from None
    except jwt.PyJWTError:
        raise ReceiptError("it is no compact JWS that this client understands") from None
    return compact, head["kid"], token["payload"]


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


def _check_header(compact: str, kind: str) -> dict[str, str]:
    head = _json_object(_decode(compact.split(".", 1)[0]), "header")
    if head.get("alg") != _ALGORITHM or head.get("typ") != kind or "crit" in head:
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
            erased_at=fields.some_time("erased_at"),
            restricted_at=fields.some_time("restricted_at"),
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
            nodes=_nodes(fields),
        )
    except (UnexpectedAnswer, OverflowError, OSError, ValueError):
        raise ReceiptError("its claims are not those of a receipt") from None
    _check_place(receipt)
    is_restriction = receipt.kind == "restriction"
    if (receipt.erased_at is None, receipt.restricted_at is None) != (
        is_restriction,
        not is_restriction,
    ):
        raise ReceiptError("its claims are not those of a receipt")
    return receipt


def _nodes(fields: Fields) -> Mapping[str, str] | None:
    """How the nodes stand; there together with the entry of the log that brought the erasure."""
    entry = fields.some("cluster", lambda entry: (entry.text("incarnation"), entry.whole("entry")))
    nodes = fields.some_many("nodes", lambda node: (node.text("node"), node.text("state")))
    if (entry is None) != (nodes is None):
        raise ReceiptError("its claims are not those of a receipt")
    return None if nodes is None else dict(nodes)


def _read_settlement(compact: str, key_id: str, payload: bytes) -> Settlement:
    claims = _json_object(payload, "claims")
    try:
        fields = Fields(claims)
        settlement = Settlement(
            issuer=fields.text("iss"),
            signed_at=datetime.fromtimestamp(fields.whole("iat"), UTC),
            node=fields.text("node"),
            upto=fields.whole("upto"),
            how=fields.text("how"),
            incarnations=fields.texts("incarnations"),
            sequence=fields.whole("sequence"),
            previous=fields.some_text("previous"),
            hash=_hash(compact.encode()),
            key_id=key_id,
            compact=compact,
            claims=claims,
        )
    except (UnexpectedAnswer, OverflowError, OSError, ValueError):
        raise ReceiptError("its claims are not those of a settlement") from None
    _check_place(settlement)
    return settlement


def _check_place(link: ChainLink) -> None:
    if link.sequence < 1 or (link.sequence == 1) != (link.previous is None):
        raise ReceiptError("its place in the chain is none")


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


def commitment(salt: str, names: Names, *, restriction: bool = False) -> str:
    """The commitment to `names` under the `receipt_salt` of the answer to a request; or to the
    `restriction` of its users."""
    try:
        key = _decode(salt)
    except ValueError:
        key = b""
    if len(key) != _SALT_BYTES:
        raise ValueError("this is no salt: take receipt_salt from the answer to the request")
    message = b"".join(
        struct.pack(">I", len(part)) + part for part in _committed(names, restriction)
    )
    return _encode(hmac.new(key, message, hashlib.sha256).digest())


def _committed(names: Names, restriction: bool) -> Iterable[bytes]:
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
    if restriction:
        if items or pairs or typed:
            raise ValueError("users alone are restricted")
        yield b"restriction"
        yield _count(len(set(users)))
        yield from sorted(set(users))
        return
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


def check_chain(receipts: Iterable[Receipt | Settlement]) -> Chain:
    """Checks the links between verified receipts and settlements of one service, in any order."""
    by_number: dict[int, Receipt | Settlement] = {}
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
