"""What is sent and what comes back, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypedDict

from ._fields import Fields
from .errors import UnexpectedAnswer

#: An id as it may be given; a whole number is its decimal text.
Id: TypeAlias = str | int

#: When something happened: an aware `datetime`, RFC 3339 as a text, or a number since 1970 in
#: seconds, milliseconds, microseconds or nanoseconds, told apart by size.
Time: TypeAlias = datetime | str | int | float

#: How long something takes or lasts: a `timedelta`, or a text like `7d`, `36h` or `1d 12h`.
Span: TypeAlias = timedelta | str

#: The value of a property, of an item or a user.
PropertyValue: TypeAlias = str | float | bool

#: `restricted` takes the place of `erased` in the life of a restriction.
ErasureStatus: TypeAlias = Literal[
    "accepted", "erased", "restricted", "forgotten", "certified", "failed"
]


class Keep(Enum):
    """The default of what a patch leaves as it is."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


class Selection(TypedDict, total=False):
    """Which items may be in a list, and which page of it; all that is given must hold.

    `k`: how many, 1 to 1000; 10 unless given. `offset`: how many of the best to leave out before
    these. `exclude`, `allow`: all but these items; these alone. `tags`, `tags_all`, `tags_none`: with
    at least one of the tags, with each of them, with none of them. `filter`: of which an expression
    in CEL is true, as in `'"drama" in tags && properties.price < 20'`.
    """

    k: int
    offset: int
    exclude: Iterable[Id]
    allow: Iterable[Id]
    tags: Iterable[str]
    tags_all: Iterable[str]
    tags_none: Iterable[str]
    filter: str


class DiverseSelection(Selection, total=False):
    """A `Selection`, and `diversity`: how much likeness to what comes before it counts against an item,
    0 to 1; 0 unless given."""

    diversity: float


class Arrangement(DiverseSelection, total=False):
    """Which items may be in a list, and how it is arranged besides the order of its scores.

    `boosts`: what is added to the scores of up to 1000 items. `pins`: up to 100 items that come first,
    in this order, those of them that may be in the list. And all of a `DiverseSelection`.
    """

    # The keys of a mapping are invariant: either kind of id is named beside both.
    boosts: Mapping[Id, float] | Mapping[str, float] | Mapping[int, float]
    pins: Iterable[Id]


@dataclass(frozen=True, slots=True)
class HistoryShare:
    """What one item of a history brings to a score."""

    item: str
    title: str | None
    #: How much of the score; negative where it speaks against.
    share: float

    @classmethod
    def read(cls, fields: Fields) -> HistoryShare:
        return cls(fields.text("item"), fields.some_text("title"), fields.number("share"))


@dataclass(frozen=True, slots=True)
class ScoredItem:
    """One item of a list."""

    item: str
    #: What the list is ordered by, where it is not arranged otherwise; a boost is in it.
    score: float
    title: str | None
    #: What of the score the question added.
    boost: float = 0.0
    #: Whether it comes first because the question says so.
    pinned: bool = False
    #: `content` where nobody has touched the item yet, so that its score comes from what is said about
    #: it and nothing is proven of it.
    source: str | None = None
    #: The items of the history that the score comes from, largest share first; with `explain`, of
    #: lists that come from a history.
    because: tuple[HistoryShare, ...] | None = None
    #: What the rest of the history brings: with the shares and the boost it adds up to the score.
    others: float | None = None

    @classmethod
    def read(cls, fields: Fields) -> ScoredItem:
        return cls(
            item=fields.text("item"),
            score=fields.number("score"),
            title=fields.some_text("title"),
            boost=fields.some_number("boost") or 0.0,
            pinned=fields.some_truth("pinned") or False,
            source=fields.some_text("source"),
            because=fields.some_many("because", HistoryShare.read),
            others=fields.some_number("others"),
        )


@dataclass(frozen=True, slots=True)
class ListedItem:
    """One item of a list for nobody in particular."""

    item: str
    #: People, people of whom each counts the less the longer ago it was, or seconds since 1970.
    score: float
    title: str | None

    @classmethod
    def read(cls, fields: Fields) -> ListedItem:
        return cls(fields.text("item"), fields.number("score"), fields.some_text("title"))


@dataclass(frozen=True, slots=True)
class Certificate:
    """How far a model can be from one that never saw what was erased."""

    #: `duality_gap`: a proven bound. `residual`: measured, and no proof.
    kind: str
    #: Whether the service says that the target is met.
    holds: bool | None
    #: What the bound, or what was measured, should be at most.
    target: float | None
    #: Bound on the root mean square of the scores' distance to the retrained model's.
    root_mean_square: float | None
    #: What was measured: the relative gradient residual.
    residual: float | None
    #: All of it, as it came.
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, fields: Fields) -> Certificate:
        raw = fields.raw()
        return cls(
            kind=fields.text("kind"),
            holds=fields.some_truth("holds"),
            target=fields.some_number("target" if "target" in raw else "tolerance"),
            root_mean_square=fields.some_number("root_mean_square"),
            residual=fields.some_number("residual"),
            raw=raw,
        )

    @property
    def is_good(self) -> bool:
        """Whether the numbers reach the target, whatever the certificate says of itself."""
        if self.target is None:
            return False
        if self.kind == "duality_gap":
            bound = self.root_mean_square
            return self.holds is True and bound is not None and bound <= self.target
        return self.residual is not None and self.residual <= self.target

    @property
    def is_proof(self) -> bool:
        """Whether it is a proven bound that reaches its target."""
        return self.kind == "duality_gap" and self.is_good


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is proven about a list."""

    certificate: Certificate | None
    certificate_version: int | None
    #: No score is farther from its retrained value than this.
    score_bound: float | None
    #: How far the list's least score, or that of the pool, is above that of the best candidate outside
    #: it; what is pinned is neither.
    margin: float | None
    #: The margin above which the set of items is proven.
    margin_needed: float | None
    #: Whether the retrained model provably gives the same set of items.
    top_k_proven: bool
    #: So many items at the head are provably the retrained model's, in some order.
    leading_set_proven: int
    #: So many items at the head are provably the retrained model's, in this order.
    leading_positions_proven: int
    #: Of how many of the best, by their scores, `diversity` made the list; `None` without it.
    pool_size: int | None
    #: Whether the retrained model provably chooses from the same pool; `None` without `diversity`.
    pool_proven: bool | None
    reason: str

    @classmethod
    def read(cls, fields: Fields) -> Explanation:
        return cls(
            certificate=fields.some("certificate", Certificate.read),
            certificate_version=fields.some_whole("certificate_version"),
            score_bound=fields.some_number("score_bound"),
            margin=fields.some_number("margin"),
            margin_needed=fields.some_number("margin_needed"),
            top_k_proven=fields.truth("top_k_proven"),
            leading_set_proven=fields.whole("leading_set_proven"),
            leading_positions_proven=fields.whole("leading_positions_proven"),
            pool_size=fields.some_whole("pool_size"),
            pool_proven=fields.some_truth("pool_proven"),
            reason=fields.text("reason"),
        )


@dataclass(frozen=True, slots=True)
class Recommendations:
    """A list for somebody, best first, all of one model version."""

    #: For whom; `None` for a session.
    user: str | None
    model_version: int
    #: `model`, `fold_in` or `popular`.
    source: str
    items: tuple[ScoredItem, ...]
    explanation: Explanation | None

    @classmethod
    def read(cls, fields: Fields) -> Recommendations:
        return cls(
            user=fields.some_text("user"),
            model_version=fields.whole("model_version"),
            source=fields.text("source"),
            items=fields.many("items", ScoredItem.read),
            explanation=fields.some("explanation", Explanation.read),
        )


@dataclass(frozen=True, slots=True)
class SimilarItems:
    """Items like another one, most similar first."""

    item: str
    model_version: int
    items: tuple[ScoredItem, ...]

    @classmethod
    def read(cls, fields: Fields) -> SimilarItems:
        items = fields.many("items", ScoredItem.read)
        return cls(fields.text("item"), fields.whole("model_version"), items)


@dataclass(frozen=True, slots=True)
class ItemList:
    """A list for nobody in particular, in order."""

    model_version: int
    items: tuple[ListedItem, ...]

    @classmethod
    def read(cls, fields: Fields) -> ItemList:
        return cls(fields.whole("model_version"), fields.many("items", ListedItem.read))


@dataclass(frozen=True, slots=True)
class Item:
    """What a catalogue says about an item."""

    id: Id
    title: str | None = None
    tags: Sequence[str] = ()
    properties: Mapping[str, PropertyValue] = field(default_factory=dict)
    #: When it appeared; answers hold the number.
    timestamp: Time | None = None
    #: Left out of every list; what was learnt of it stays.
    hidden: bool = False

    @classmethod
    def read(cls, fields: Fields) -> Item:
        return cls(
            id=fields.text("id"),
            title=fields.some_text("title"),
            tags=fields.texts("tags"),
            properties=fields.mapping("properties"),
            timestamp=fields.some_whole("timestamp"),
            hidden=fields.truth("hidden"),
        )


@dataclass(frozen=True, slots=True)
class Interaction:
    """Somebody did something with an item."""

    user: Id
    item: Id
    #: Which type of feedback, of those that the service is configured with; `interaction` unless given.
    type: str | None = None
    #: Confidence; 1 unless given.
    weight: float | None = None
    #: When; now unless given. Of a pair the newest counts.
    timestamp: Time | None = None


class Pair(NamedTuple):
    """What one user did with one item; with `type` only what is of this type of feedback."""

    user: Id
    item: Id
    type: str | None = None


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that was not taken."""

    #: Its place among all rows that were given, from 0.
    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class Written:
    """What became of rows."""

    #: Durable now.
    accepted: int = 0
    #: Interactions from before an erasure that names them: erased once, and not taken again.
    held_back: int = 0
    rejected: tuple[RejectedRow, ...] = ()

    @property
    def rows(self) -> int:
        """All of them."""
        return self.accepted + self.held_back + len(self.rejected)

    def followed_by(self, later: Written) -> Written:
        """These and the rows after them."""
        moved = (RejectedRow(self.rows + row.index, row.reason) for row in later.rejected)
        return Written(
            self.accepted + later.accepted,
            self.held_back + later.held_back,
            (*self.rejected, *moved),
        )

    @classmethod
    def read(cls, fields: Fields) -> Written:
        def rejected(row: Fields) -> RejectedRow:
            return RejectedRow(row.whole("index"), row.text("reason"))

        return cls(
            accepted=fields.whole("accepted"),
            held_back=fields.some_whole("held_back") or 0,
            rejected=fields.many("rejected", rejected),
        )


@dataclass(frozen=True, slots=True)
class Names:
    """What an erasure names: any of the three, up to 10 000 together. `repr` shows how many."""

    #: Everything of each of these users.
    users: Sequence[Id] = field(default=(), repr=False)
    #: Every interaction with each of these items; what is said about them stays.
    items: Sequence[Id] = field(default=(), repr=False)
    #: These pairs, each with a type of feedback or not, and nothing else of their users.
    interactions: Sequence[Pair | tuple[Id, Id] | tuple[Id, Id, str]] = field(
        default=(), repr=False
    )

    def __len__(self) -> int:
        return len(self.users) + len(self.items) + len(self.interactions)


@dataclass(frozen=True, slots=True)
class AcceptedErasure:
    """An erasure that survives a power cut from now on."""

    id: str
    status: ErasureStatus
    accepted_at: datetime
    #: Opens the commitment in the receipt. It is kept nowhere else: keep it with the receipt.
    receipt_salt: str | None = field(repr=False)

    @classmethod
    def read(cls, fields: Fields) -> AcceptedErasure:
        return cls(
            id=fields.text("id"),
            status=_status(fields),
            accepted_at=fields.time("accepted_at"),
            receipt_salt=fields.some_text("receipt_salt"),
        )


@dataclass(frozen=True, slots=True)
class ErasureState:
    """How far an erasure has come; never whom it is about."""

    id: str
    #: What was named, as in a receipt; `restriction` when nothing was erased. `None` of a service that
    #: does not say.
    kind: str | None
    status: ErasureStatus
    accepted_at: datetime
    #: When the data left the store.
    erased_at: datetime | None
    #: When the data left what is processed, of a restriction.
    restricted_at: datetime | None
    #: When the updated model was swapped in.
    forgotten_at: datetime | None
    #: When the certificate was attached.
    certified_at: datetime | None
    certified_version: int | None
    model_version_before: int | None
    #: The first version that had forgotten.
    model_version_after: int | None
    certificate: Certificate | None
    #: Why it failed, or has no certificate yet, when that was tried; it is tried again.
    failure: str | None

    @property
    def is_forgotten(self) -> bool:
        """Whether the live model has forgotten."""
        return self.status in ("forgotten", "certified")

    @property
    def is_certified(self) -> bool:
        """Whether there is a certificate and a receipt."""
        return self.status == "certified"

    @classmethod
    def read(cls, fields: Fields) -> ErasureState:
        return cls(
            id=fields.text("id"),
            kind=fields.some_text("kind"),
            status=_status(fields),
            accepted_at=fields.time("accepted_at"),
            restricted_at=fields.some_time("restricted_at"),
            erased_at=fields.some_time("erased_at"),
            forgotten_at=fields.some_time("forgotten_at"),
            certified_at=fields.some_time("certified_at"),
            certified_version=fields.some_whole("certified_version"),
            model_version_before=fields.some_whole("model_version_before"),
            model_version_after=fields.some_whole("model_version_after"),
            certificate=fields.some("certificate", Certificate.read),
            failure=fields.some_text("failure"),
        )


def _status(fields: Fields) -> ErasureStatus:
    match fields.text("status"):
        case (
            "accepted" | "erased" | "restricted" | "forgotten" | "certified" | "failed"
        ) as status:
            return status
    raise UnexpectedAnswer("the answer has a status that this client does not know")


@dataclass(frozen=True, slots=True)
class User:
    """Somebody of whom something is held."""

    user: str
    #: What is said about them.
    properties: Mapping[str, PropertyValue] = field(repr=False)
    #: How many interactions are held and learnt.
    interactions: int
    #: Whether they are kept without being processed.
    restricted: bool = False

    @classmethod
    def read(cls, fields: Fields) -> User:
        return cls(
            user=fields.text("user"),
            properties=fields.mapping("properties"),
            interactions=fields.whole("interactions"),
            restricted=fields.some_truth("restricted") or False,
        )


@dataclass(frozen=True, slots=True)
class ExportedUser:
    """What is said about a user: the first row of an export, where there is anything."""

    user: str
    properties: Mapping[str, PropertyValue] = field(repr=False)
    #: All that was said, as it came.
    raw: Mapping[str, Any] = field(repr=False)
    #: Whether what is held is kept without being processed.
    restricted: bool = False

    @classmethod
    def read(cls, fields: Fields) -> ExportedUser:
        restricted = fields.some_truth("restricted") or False
        return cls(fields.text("user"), fields.mapping("properties"), fields.raw(), restricted)


@dataclass(frozen=True, slots=True)
class ExportedInteraction:
    """One thing that is held of what a user did."""

    item: str
    title: str | None
    #: Which type of feedback.
    type: str
    #: The weight that it came with.
    weight: float
    #: In the unit that it came with.
    timestamp: int | None
    #: All that was said, as it came.
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, fields: Fields) -> ExportedInteraction:
        return cls(
            item=fields.text("item"),
            title=fields.some_text("title"),
            type=fields.some_text("type") or "interaction",
            weight=fields.number("weight"),
            timestamp=fields.some_whole("timestamp"),
            raw=fields.raw(),
        )


#: One row of an export.
ExportedRow: TypeAlias = ExportedUser | ExportedInteraction


def exported_row(fields: Fields) -> ExportedRow:
    """The row that this says."""
    is_interaction = "item" in fields.raw()
    return ExportedInteraction.read(fields) if is_interaction else ExportedUser.read(fields)


@dataclass(frozen=True, slots=True)
class LastCertificate:
    """Where the last certificate that held was given."""

    version: int
    at: datetime
    age_seconds: float
    #: Entries of the log since then.
    events_since: int

    @classmethod
    def read(cls, fields: Fields) -> LastCertificate:
        return cls(
            version=fields.whole("version"),
            at=fields.time("at"),
            age_seconds=fields.number("age_seconds"),
            events_since=fields.whole("events_since"),
        )


@dataclass(frozen=True, slots=True)
class Model:
    """The live model."""

    version: int
    #: `ials`, `neumf` or `lightgcn`.
    kind: str
    dim: int
    users: int
    items: int
    interactions: int
    hyper_parameters: Mapping[str, Any]
    objective: float | None
    residual: float | None
    certificate: Certificate | None
    #: Where the last certificate that held was given.
    certified: LastCertificate | None

    @classmethod
    def read(cls, fields: Fields) -> Model:
        return cls(
            version=fields.whole("version"),
            kind=fields.text("kind"),
            dim=fields.whole("dim"),
            users=fields.whole("users"),
            items=fields.whole("items"),
            interactions=fields.whole("interactions"),
            hyper_parameters=fields.mapping("hyper_parameters"),
            objective=fields.some_number("objective"),
            residual=fields.some_number("residual"),
            certificate=fields.some("certificate", Certificate.read),
            certified=fields.some("certified", LastCertificate.read),
        )


@dataclass(frozen=True, slots=True)
class Health:
    """How the service is."""

    #: It learns and forgets; if not, restart it.
    alive: bool
    #: There is a live model, and the store takes writes.
    ready: bool
    #: What is amiss, if anything.
    reason: str | None
