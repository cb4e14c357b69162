"""Every command of the pages for newcomers, operators and privacy officers is run, page by page and in
turn, in a fresh clone and against a real server, and what is shown is compared with what comes (`pages.py`
says what may differ). `RECANT_BINARY` is the program, `RECANT_ROOT` the repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pages import LANGUAGES, Step, blocks
from session import Session

ROOT = Path(os.environ.get("RECANT_ROOT", Path(__file__).parents[2]))
BINARY = Path(os.environ["RECANT_BINARY"])
#: Pages whose commands are run.
RUN = (
    "README.md",
    "docs/access.md",
    "docs/authority.md",
    "docs/cluster.md",
    "docs/concepts.md",
    "docs/console.md",
    "docs/feedback.md",
    "docs/import.md",
    "docs/introduction.md",
    "docs/people.md",
    "docs/promises.md",
    "docs/quality.md",
    "docs/receipts.md",
    "docs/runbooks.md",
    "docs/running.md",
    "docs/threat-model.md",
    "docs/tutorial.md",
)
#: Pages with commands that are not run here, and why.
ELSEWHERE = {
    "CONTRIBUTING.md": "the suite itself",
    "docs/benchmarks.md": "hours on a quiet machine",
    "docs/clients.md": "run by .ci/clients, from the same files",
    "docs/development.md": "builds of everything, for their times",
    "docs/experiments.md": "hours, and data sets of others",
    "docs/gorse.md": "run by .ci/gorse, against the clients themselves",
    "docs/webhooks.md": "a receiver that waits to be called; the clients verify the same messages",
    "docs/testing.md": "hours of kills and cuts; the short forms are in the suite",
}
#: How long something may take to become what is shown, in seconds.
PATIENCE = 20


def clone(into: Path) -> None:
    """A clone of what is committed, with what was changed since."""
    subprocess.run(["git", "clone", "--quiet", ROOT, into], check=True)
    listed = ["git", "-C", ROOT, "ls-files", "-z", "--modified", "--others", "--exclude-standard"]
    changed = subprocess.run(listed, check=True, capture_output=True, text=True).stdout
    for name in filter(None, changed.split("\0")):
        if (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, into / name)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """A reader who has just cloned the repository."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone of a repository")
    clone(tmp_path / "recant")
    session = Session(tmp_path, tmp_path / "recant", BINARY)
    try:
        yield session
    finally:
        session.end()


def follow(session: Session, step: Step) -> None:
    """Does a step, as the page says."""
    code, printed = session.run(step.text, step.language)
    end = time.monotonic() + PATIENCE
    while step.is_question() and not step.matches(printed) and time.monotonic() < end:
        time.sleep(0.1)
        code, printed = session.run(step.text, step.language)
    told = f"line {step.line}: {step.text}\nended with {code}, printed:\n{printed}"
    assert (code != 0) == step.fails(), told
    assert step.matches(printed), f"{told}\nshown is:\n{step.shown}"
    session.learn(step.shown, printed)


@pytest.mark.parametrize("name", RUN)
def test_a_page_is_followed(name: str, session: Session) -> None:
    for block in blocks(ROOT / name):
        if block.not_run:
            continue
        if block.first:
            code, printed = session.run(block.first)
            assert code == 0, f"before line {block.line}: {printed}"
        for step in block.steps():
            follow(session, step)


def test_what_is_not_run_has_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    for name in RUN:
        for block in blocks(ROOT / name):
            if block.not_run is not None:
                assert len(block.not_run) > 10, f"{name}:{block.line}"
                with capsys.disabled():
                    print(f"\nnot run: {name}:{block.line}: {block.not_run}", end="")


def test_every_page_with_commands_is_run_here_or_elsewhere() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    told = {
        str(page.relative_to(ROOT))
        for page in pages
        if any(block.language in LANGUAGES for block in blocks(page))
    }
    assert told <= set(RUN) | set(ELSEWHERE)
    assert set(ELSEWHERE) <= told


def test_pictures_are_small_shown_and_described() -> None:
    pictures = list((ROOT / "docs/images").glob("*.png"))
    sizes = [picture.stat().st_size for picture in pictures]
    assert pictures and max(sizes) <= 160_000 and sum(sizes) <= 1_200_000
    text = "".join(page.read_text() for page in ROOT.glob("docs/*.md"))
    shown = dict((name, alt) for alt, name in re.findall(r"!\[([^]]+)\]\(images/([^)]+)\)", text))
    assert set(shown) == {picture.name for picture in pictures}
    assert all(len(alt) > 20 for alt in shown.values())


@pytest.mark.parametrize(
    ("shown", "printed", "is_same"),
    [
        ("a 1.5 s", "a 2.25 s", True),
        ("24 users", "25 users", False),
        ("…\nlast", "first\nlast", True),
        ("…\nlast", "first\nlast but one", False),
        ('{"a":[\n 1]}', '{"a":[1]}', True),
        ("2026-11-29T08:20:55.013Z", "2027-01-02T03:04:05.678Z", True),
        ("nothing", "", False),
    ],
)
def test_what_may_differ_and_what_may_not(shown: str, printed: str, is_same: bool) -> None:
    assert Step(1, "console", "", shown).matches(printed) == is_same
