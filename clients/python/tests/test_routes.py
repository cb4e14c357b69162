"""The client beside the description of the service, and its two forms beside one another."""

import inspect

from recant_client import AsyncClient, AsyncErasure, Client, Erasure, _calls, _lists, _routes
from recant_client._routes import Route
from recant_client.aio import AsyncErasures, AsyncInteractions, AsyncItems
from recant_client.client import Erasures, Interactions, Items

from .conftest import ADMIN, Clients, Server

AUDITORS = "auditors keep the answer in a file, for `recant verify`"

#: Routes that the client does not call, and why.
LEFT_OUT = {
    Route("GET", "/recommend"): "POST /recommend says the same without an id in the URL",
    Route("GET", "/similar"): "POST /similar says the same without an id in the URL",
    Route("GET", "/popular"): "POST /popular says the same without an id in the URL",
    Route("GET", "/trending"): "POST /trending says the same without an id in the URL",
    Route("GET", "/latest"): "POST /latest says the same without an id in the URL",
    Route("GET", "/export"): "POST /export says the same without an id in the URL",
    Route("DELETE", "/interactions"): "POST /erasures says the same without an id in the URL",
    Route(
        "PUT", "/users/{id}/restriction"
    ): "POST /restrictions says the same without an id in the URL",
    Route("DELETE", "/users/{id}/restriction"): (
        "POST /restrictions/lift says the same without an id in the URL"
    ),
    Route("GET", "/erasures/{id}/inclusion"): AUDITORS,
    Route("GET", "/receipts/checkpoint"): AUDITORS,
    Route("GET", "/receipts/consistency"): AUDITORS,
    Route("GET", "/receipts/settlements"): AUDITORS,
    Route("GET", "/cluster"): "for operators, who look at the console",
    Route("GET", "/webhooks"): "for operators, who give a receiver its key once",
    Route("GET", "/metrics"): "for Prometheus",
    Route("GET", "/docs"): "for people",
    Route("GET", "/"): "for people",
}

CALLED = {name: route for name, route in vars(_routes).items() if isinstance(route, Route)}


def test_every_route_of_the_service_is_called_or_left_out_for_a_reason(
    server: Server, clients: Clients
) -> None:
    description = clients(server.url, api_key=ADMIN).openapi()
    there = {
        Route(method.upper(), path)
        for path, methods in description["paths"].items()
        for method in methods
    }
    known = set(CALLED.values()) | set(LEFT_OUT)
    assert not there - known, f"the client lacks {sorted(there - known)}"
    assert not known - there, f"the service lacks {sorted(known - there)}"
    assert not set(CALLED.values()) & set(LEFT_OUT)


def test_every_route_is_used() -> None:
    source = inspect.getsource(_calls) + inspect.getsource(_lists)
    assert [name for name in CALLED if f"_routes.{name}" not in source] == []


def test_both_clients_have_the_same_calls() -> None:
    def calls(kind: type) -> dict[str, list[str]]:
        named = ((name, value) for name, value in inspect.getmembers(kind, callable))
        public = {name: value for name, value in named if not name.startswith("_")}
        assert all(inspect.getdoc(value) for value in public.values())
        return {name: list(inspect.signature(value).parameters) for name, value in public.items()}

    for blocking, awaiting in (
        (Client, AsyncClient),
        (Items, AsyncItems),
        (Interactions, AsyncInteractions),
        (Erasures, AsyncErasures),
        (Erasure, AsyncErasure),
    ):
        assert calls(blocking) == calls(awaiting)
        assert calls(blocking)
