"""The calls for lists: for a user, a session, many users or nobody in particular, or like an item."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Unpack

from . import _encode, _routes
from ._asking import Asking, check_batch, of_lines, of_object, post
from ._routes import Route
from ._steps import END, TAKE, Emit, Flow, Stream
from .errors import UnexpectedAnswer
from .models import (
    Arrangement,
    DiverseSelection,
    Id,
    ItemList,
    Recommendations,
    Selection,
    SimilarItems,
    Span,
)


class ListCalls(Asking):
    """The calls that answer a list."""

    def recommend(
        self,
        user: Id,
        *,
        exclude_seen: bool = True,
        explain: bool = False,
        because: int | None = None,
        as_of: Literal["live", "certified"] = "live",
        **arrangement: Unpack[Arrangement],
    ) -> Flow[Recommendations]:
        """The best items for a user. One whom the service does not know gets what is popular.

        `explain` asks what is proven about the list, and which items of the history its scores come from:
        `because` of them for each, 0 to 1000; 5 unless given. `as_of="certified"` asks for the last
        version whose certificate held. `arrangement`: see `Arrangement`.
        """
        return self._recommend({"user": user}, exclude_seen, explain, because, as_of, arrangement)

    def recommend_session(
        self,
        history: Iterable[Id],
        *,
        exclude_seen: bool = True,
        explain: bool = False,
        because: int | None = None,
        as_of: Literal["live", "certified"] = "live",
        **arrangement: Unpack[Arrangement],
    ) -> Flow[Recommendations]:
        """The best items for somebody who is known by the items of this session alone. Otherwise as
        `recommend`."""
        subject = {"history": _encode.listed("history", history)}
        return self._recommend(subject, exclude_seen, explain, because, as_of, arrangement)

    def _recommend(
        self,
        subject: Mapping[str, Any],
        exclude_seen: bool,
        explain: bool,
        because: int | None,
        as_of: str,
        arrangement: Arrangement,
    ) -> Flow[Recommendations]:
        body = {**subject, **_encode.selection(arrangement), "exclude_seen": exclude_seen}
        body |= {"explain": explain, "as_of": as_of}
        if because is not None:
            body["because"] = because
        return self.ask(post(_routes.RECOMMEND, body), of_object(Recommendations.read))

    def recommend_many(
        self, batch: int, exclude_seen: bool, arrangement: Arrangement
    ) -> Stream[Recommendations]:
        """Lists for the users that are streamed in, `batch` of them a request."""
        check_batch(batch)
        body = {**_encode.selection(arrangement), "exclude_seen": exclude_seen}
        users: list[Id] = []
        while True:
            user = yield TAKE
            if user is not END:
                users.append(user)
            if users and (user is END or len(users) == batch):
                request = post(_routes.RECOMMEND, {**body, "users": users})
                lists = yield from self.ask(request, of_lines(Recommendations.read))
                if len(lists) != len(users):
                    raise UnexpectedAnswer("the answer broke off: ask for fewer users at once")
                for found in lists:
                    yield Emit(found)
                users = []
            if user is END:
                return

    def similar(
        self, item: Id, *, user: Id | None = None, **selection: Unpack[DiverseSelection]
    ) -> Flow[SimilarItems]:
        """The items most similar to one; with `user` without those that the user has. `selection`: see
        `DiverseSelection`."""
        body = {"item": item, **_encode.selection(selection)}
        if user is not None:
            body["user"] = user
        return self.ask(post(_routes.SIMILAR, body), of_object(SimilarItems.read))

    def popular(
        self,
        *,
        window: Span | None = None,
        user: Id | None = None,
        **selection: Unpack[Selection],
    ) -> Flow[ItemList]:
        """The items that most people wanted. With `window` only what happened in this time up to now
        counts; what came without a timestamp does not then. With `user` without those that the user has.
        """
        return self._list(_routes.POPULAR, user, selection, window=window)

    def trending(
        self,
        *,
        half_life: Span | None = None,
        window: Span | None = None,
        user: Id | None = None,
        **selection: Unpack[Selection],
    ) -> Flow[ItemList]:
        """The items that most people wanted of late: somebody counts half as much with each `half_life`,
        three days unless given, that it is ago. What came without a timestamp does not count. Otherwise
        as `popular`."""
        return self._list(_routes.TRENDING, user, selection, half_life=half_life, window=window)

    def latest(
        self,
        *,
        window: Span | None = None,
        user: Id | None = None,
        **selection: Unpack[Selection],
    ) -> Flow[ItemList]:
        """The items that appeared last, by their timestamps, whether or not anybody wanted them; with
        `window` those that appeared in this time up to now. Otherwise as `popular`."""
        return self._list(_routes.LATEST, user, selection, window=window)

    def _list(
        self, route: Route, user: Id | None, selection: Selection, **spans: Span | None
    ) -> Flow[ItemList]:
        body = _encode.selection(selection)
        body |= {name: _encode.span(span) for name, span in spans.items() if span is not None}
        if user is not None:
            body["user"] = user
        return self.ask(post(route, body), of_object(ItemList.read))
