"""The calls for lists: for a user, a session, many users, or like an item."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Unpack

from . import _encode, _routes
from ._asking import Asking, check_batch, of_lines, of_object, post
from ._steps import END, TAKE, Emit, Flow, Stream
from .errors import UnexpectedAnswer
from .models import Id, Recommendations, Selection, SimilarItems


class ListCalls(Asking):
    """The calls that answer a list."""

    def recommend(
        self,
        user: Id,
        *,
        exclude_seen: bool = True,
        explain: bool = False,
        as_of: Literal["live", "certified"] = "live",
        **selection: Unpack[Selection],
    ) -> Flow[Recommendations]:
        """The best items for a user. One whom the service does not know gets what is popular.

        `explain` asks what is proven about the list; `as_of="certified"` for the last version whose
        certificate held. `selection`: see `Selection`.
        """
        return self._recommend({"user": user}, exclude_seen, explain, as_of, selection)

    def recommend_session(
        self,
        history: Iterable[Id],
        *,
        exclude_seen: bool = True,
        explain: bool = False,
        as_of: Literal["live", "certified"] = "live",
        **selection: Unpack[Selection],
    ) -> Flow[Recommendations]:
        """The best items for somebody who is known by the items of this session alone."""
        subject = {"history": _encode.listed("history", history)}
        return self._recommend(subject, exclude_seen, explain, as_of, selection)

    def _recommend(
        self,
        subject: Mapping[str, Any],
        exclude_seen: bool,
        explain: bool,
        as_of: str,
        selection: Selection,
    ) -> Flow[Recommendations]:
        body = {**subject, **_encode.selection(selection), "exclude_seen": exclude_seen}
        body |= {"explain": explain, "as_of": as_of}
        return self.ask(post(_routes.RECOMMEND, body), of_object(Recommendations.read))

    def recommend_many(
        self, batch: int, exclude_seen: bool, selection: Selection
    ) -> Stream[Recommendations]:
        """Lists for the users that are streamed in, `batch` of them a request."""
        check_batch(batch)
        body = {**_encode.selection(selection), "exclude_seen": exclude_seen}
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
        self, item: Id, *, user: Id | None = None, **selection: Unpack[Selection]
    ) -> Flow[SimilarItems]:
        """The items most similar to one; with `user` without those that the user has."""
        body = {"item": item, **_encode.selection(selection)}
        if user is not None:
            body["user"] = user
        return self.ask(post(_routes.SIMILAR, body), of_object(SimilarItems.read))
