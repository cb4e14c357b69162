"""Films in the files of MovieLens 100K, as gorse's users, items and feedback.

Real files may not be passed on, so others of the same form are made up: people who like some kinds of
film, and films of these kinds. `RECANT_ML100K` names a folder with the real ones instead.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

GENRES = (
    "unknown Action Adventure Animation Children's Comedy Crime Documentary Drama Fantasy Film-Noir "
    "Horror Musical Mystery Romance Sci-Fi Thriller War Western"
).split()
OCCUPATIONS = ["artist", "doctor", "engineer", "lawyer", "technician", "writer"]

USERS, ITEMS, RATINGS = 150, 240, 40

#: The encoding of the real files.
ENCODING = "latin-1"

Row = dict[str, Any]


class Films(NamedTuple):
    """All of it, in the payloads of gorse."""

    users: list[Row]
    items: list[Row]
    feedback: list[Row]


def make_up(folder: Path) -> None:
    """Writes `u.user`, `u.item` and `u.data`, the same ones each time."""
    chance = random.Random(17)
    people = [
        f"{user}|{chance.randint(7, 73)}|{chance.choice('MF')}|{chance.choice(OCCUPATIONS)}"
        f"|{chance.randint(10_000, 99_999)}\n"
        for user in range(1, USERS + 1)
    ]
    (folder / "u.user").write_text("".join(people), ENCODING)
    kinds = {
        item: chance.sample(range(1, 19), chance.randint(1, 3)) for item in range(1, ITEMS + 1)
    }
    films = [
        f"{item}|Film No\xe9 {item} ({1950 + item % 48})|{item % 28 + 1:02}-Jan-{1950 + item % 48}||"
        f"|{'|'.join(str(int(kind in of)) for kind in range(19))}\n"
        for item, of in kinds.items()
    ]
    (folder / "u.item").write_text("".join(films), ENCODING)
    ratings = []
    for user in range(1, USERS + 1):
        liked = {user % 18 + 1, user % 5 + 1}
        for item in chance.sample(range(1, ITEMS + 1), RATINGS):
            rating = chance.randint(4, 5) if liked & set(kinds[item]) else chance.randint(1, 4)
            when = 880_000_000 + chance.randint(0, 10_000_000)
            ratings.append(f"{user}\t{item}\t{rating}\t{when}\n")
    (folder / "u.data").write_text("".join(ratings), ENCODING)


def read(folder: Path) -> Films:
    """Reads the three files of a folder."""
    return Films(
        [user(line) for line in lines(folder / "u.user")],
        [item(line) for line in lines(folder / "u.item")],
        [feedback(line) for line in lines(folder / "u.data")],
    )


def lines(path: Path) -> list[str]:
    """Lines by line feeds alone: titles may hold what else would end one."""
    return [line for line in path.read_text(ENCODING).split("\n") if line]


def user(line: str) -> Row:
    """A line of `u.user`."""
    name, age, gender, occupation, zip_code = line.split("|")
    labels = {"age": int(age), "gender": gender, "occupation": occupation, "zip_code": zip_code}
    return {"UserId": name, "Labels": labels, "Comment": ""}


def item(line: str) -> Row:
    """A line of `u.item`."""
    name, title, released, _, _, *flags = line.split("|")
    day = f"{datetime.strptime(released, '%d-%b-%Y'):%Y-%m-%d}" if released else "0001-01-01"
    return {
        "ItemId": name,
        "IsHidden": False,
        "Categories": [genre for genre, flag in zip(GENRES, flags, strict=True) if flag == "1"],
        "Timestamp": f"{day}T00:00:00Z",
        "Labels": None,
        "Comment": title,
    }


def feedback(line: str) -> Row:
    """A line of `u.data`: many stars are a star, others were merely read."""
    user, item, rating, seconds = line.split("\t")
    return {
        "FeedbackType": "star" if int(rating) >= 4 else "read",
        "UserId": user,
        "ItemId": item,
        "Value": float(rating),
        "Timestamp": f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%dT%H:%M:%SZ}",
    }
