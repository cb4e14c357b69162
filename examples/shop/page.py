"""A shop's page: what `recant` recommends to a customer, "not for me", and "forget me".

python3 examples/shop/page.py [RECANT [PORT]]

RECANT is the address of `recant serve` (http://127.0.0.1:8080), PORT that of the page (8000; 0 for any
that is free). The browser talks to this program alone: the key of `recant`, from RECANT_KEY, stays here.
A real shop knows its customer by a session; here the address says who it is.
"""

import html
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit
from urllib.request import Request, urlopen

RECANT = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8000


def recant(method: str, path: str, body: object = None, **headers: str) -> dict:
    """One call of recant's API."""
    data = None if body is None else json.dumps(body).encode()
    headers["Content-Type"] = "application/json"
    if key := os.environ.get("RECANT_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    with urlopen(Request(RECANT + path, data, headers, method=method), timeout=10) as answer:
        return json.load(answer)


def recommended(customer: str) -> list[dict]:
    """The customer's list, with what the catalogue says about each item."""
    # In a body, so that no log of addresses tells who the customer is.
    asked = {"user": customer, "k": 5, "filter": "properties.price < 200.0"}
    listed = recant("POST", "/recommend", asked)["items"]
    return [recant("GET", "/items/" + quote(item["item"], safe="")) for item in listed]


def entry(customer: str, item: dict) -> str:
    """A line of the list, with its button."""
    title = html.escape(item.get("title") or item["id"])
    price = item["properties"].get("price", 0.0)
    return (
        f"<li>{title}, {price:.2f} "
        f'<form method="post" action="/dislike?customer={quote(customer)}">'
        f'<button name="item" value="{html.escape(item["id"])}">not for me</button></form></li>'
    )


def page(customer: str, note: str) -> str:
    """The whole page."""
    entries = "".join(entry(customer, item) for item in recommended(customer))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Shop</title>'
        f"<h1>For you, {html.escape(customer)}</h1><p>{html.escape(note)}</p><ul>{entries}</ul>"
        f'<form method="post" action="/forget?customer={quote(customer)}">'
        "<button>forget me</button></form></html>"
    )


def dislike(customer: str, item: str) -> str:
    """The customer does not want the item."""
    told = {"user": customer, "item": item, "type": "dislike"}
    recant("POST", "/interactions", {"interactions": [told]})
    return "Noted."


def forget(customer: str) -> str:
    """Erases the customer, and waits until the model has forgotten them."""
    erasure = recant("POST", "/erasures", {"users": [customer]}, Prefer="wait=5")
    return f"You are forgotten. Your erasure is {erasure['id']}; keep {erasure['receipt_salt']}."


class Shop(BaseHTTPRequestHandler):
    """Answers the browser."""

    def do_GET(self) -> None:
        self.answer("")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        item = parse_qs(body).get("item", [""])[0]
        is_dislike = urlsplit(self.path).path == "/dislike"
        self.answer(dislike(self.customer(), item) if is_dislike else forget(self.customer()))

    def customer(self) -> str:
        return parse_qs(urlsplit(self.path).query).get("customer", ["nobody"])[0]

    def answer(self, note: str) -> None:
        content = page(self.customer(), note).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: addresses name customers."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Shop)
    print(f"http://127.0.0.1:{server.server_port}/?customer=anna", flush=True)
    server.serve_forever()
