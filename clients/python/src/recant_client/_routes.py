"""The routes that this client calls, as `/openapi.json` names them. Ids of people go into bodies where
that can be, so of two routes that do the same the one without an id in its URL is here."""

from typing import Final, NamedTuple


class Route(NamedTuple):
    """A method and a path."""

    method: str
    #: `{id}` stands for an id.
    path: str


RECOMMEND: Final = Route("POST", "/recommend")
SIMILAR: Final = Route("POST", "/similar")
POPULAR: Final = Route("POST", "/popular")
TRENDING: Final = Route("POST", "/trending")
LATEST: Final = Route("POST", "/latest")
ITEMS: Final = Route("GET", "/items")
PUT_ITEMS: Final = Route("POST", "/items")
PUT_ITEM: Final = Route("PUT", "/items/{id}")
PATCH_ITEM: Final = Route("PATCH", "/items/{id}")
GET_ITEM: Final = Route("GET", "/items/{id}")
DELETE_ITEM: Final = Route("DELETE", "/items/{id}")
USERS: Final = Route("GET", "/users")
PUT_USER: Final = Route("PUT", "/users/{id}")
GET_USER: Final = Route("GET", "/users/{id}")
RESTRICT: Final = Route("POST", "/restrictions")
LIFT: Final = Route("POST", "/restrictions/lift")
ADD: Final = Route("POST", "/interactions")
ERASE: Final = Route("POST", "/erasures")
ERASURES: Final = Route("GET", "/erasures")
ERASURE: Final = Route("GET", "/erasures/{id}")
RECEIPT: Final = Route("GET", "/erasures/{id}/receipt")
EXPORT: Final = Route("POST", "/export")
MODEL: Final = Route("GET", "/model")
ALIVE: Final = Route("GET", "/healthz")
READY: Final = Route("GET", "/readyz")
JWKS: Final = Route("GET", "/.well-known/jwks.json")
OPENAPI: Final = Route("GET", "/openapi.json")
