"""Requests and answers of `recant_client._steps` as those of httpx."""

from __future__ import annotations

from urllib.parse import quote

import httpx

from ._steps import Answer, NoAnswer, Request
from .errors import UnexpectedAnswer

#: What can only go wrong before a request has left.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

DEFAULT_URL = "http://127.0.0.1:8080"
DEFAULT_TIMEOUT = 35.0


def settings(url: str, api_key: str | None) -> tuple[httpx.URL, dict[str, str]]:
    """Where the service is, and the headers of every request."""
    base = httpx.URL(url.rstrip("/"))
    if base.scheme not in ("http", "https") or not base.host:
        raise ValueError("url must be one like http://127.0.0.1:8080")
    headers: dict[str, str] = {}
    if api_key is not None:
        headers["authorization"] = f"Bearer {api_key}"
    return base, headers


def http_request(
    client: httpx.Client | httpx.AsyncClient, request: Request, base: httpx.URL, timeout: float
) -> httpx.Request:
    """The request as it is sent. A wait that the service was asked for comes on top of `timeout`."""
    path = request.route.path
    if request.path_id is not None:
        path = path.replace("{id}", _segment(request.path_id))
    # `+` means a blank to some readers of a query; `%20` does to all.
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in request.query.items())
    url = f"{base}{path}" + (f"?{query}" if query else "")
    return client.build_request(
        request.route.method,
        url,
        headers=dict(request.headers),
        content=request.body,
        timeout=httpx.Timeout(timeout, read=timeout + request.wait),
    )


def _segment(text: str) -> str:
    """A text as one segment of a path, even where it would mean this folder or the one above."""
    return quote(text, safe="").replace(".", "%2E") if text in (".", "..") else quote(text, safe="")


def answer(response: httpx.Response) -> Answer:
    """What was answered; the body was read."""
    return Answer(response.status_code, response.headers, response.content)


def no_answer(error: httpx.HTTPError) -> NoAnswer:
    """Why nothing was."""
    if not isinstance(error, httpx.TransportError):
        raise UnexpectedAnswer("the answer cannot be read") from error
    return NoAnswer(error, sent=not isinstance(error, _UNSENT))
