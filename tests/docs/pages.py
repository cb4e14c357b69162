"""The blocks of a page: what a reader is told to run, and what is shown to come of it.

A comment in HTML, which no reader sees, may stand before a block:

    <!-- first: COMMANDS -->     what the reader has or does besides; run before the block
    <!-- not run: REASON -->     a test cannot run this block
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

#: Blocks in these languages are run.
LANGUAGES = ("console", "sh", "python")
FENCE = re.compile(
    r"(?:<!-- (?P<what>first|not run): (?P<said>.*?) -->\n)?"
    r"```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
#: What differs from run to run, and the pattern that stands for it in output without blanks.
VOLATILE = (
    # What was left out.
    (r"…", r".*?"),
    # Versions of the model, of which a refinement makes another when it is done.
    (r'version[a-z_]*":\d+', r'version[a-z_]*":\d+'),
    # Ids of erasures.
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", r"[0-9a-f-]{36}"),
    # Times.
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", r"\d{4}-\d\d-\d\dT[\d:.]+Z"),
    # Hashes, signatures, salts: what is long and looks like base64 or hexadecimal digits.
    (r"[\w+/-]{40,}=*", r"[\w+/-]{40,}=*"),
    # Figures with a fraction or a power of ten, and how much was done in a second.
    (r"[\d ]+ rows/s", r"\d+rows/s"),
    (r"\d+\.\d+(?:e-?\d+)?|\d+e-?\d+", r"\d+(?:\.\d+)?(?:e-?\d+)?"),
    # Sizes of files.
    (r"\d+ bytes", r"\d+bytes"),
    # The places of files and records within a store.
    (r"\d+ files,", r"\d+files,"),
    (r"\d+ records", r"\d+records"),
)
TOKEN = re.compile("|".join(f"(?P<v{n}>{shown})" for n, (shown, _) in enumerate(VOLATILE)))


def literal(text: str) -> str:
    """A pattern for a text itself, without its blanks."""
    return re.escape(re.sub(r"\s", "", text))


@dataclass
class Step:
    """A command, or a program in Python, and what is shown to come of it."""

    line: int
    language: str
    text: str
    shown: str | None = None

    def matches(self, output: str) -> bool:
        """Whether the output is the one that is shown, but for what differs from run to run."""
        if self.shown is None:
            return True
        pattern, end = "", 0
        for token in TOKEN.finditer(self.shown):
            number = int(str(token.lastgroup)[1:])
            pattern += literal(self.shown[end : token.start()]) + VOLATILE[number][1]
            end = token.end()
        pattern += literal(self.shown[end:])
        return re.fullmatch(pattern, re.sub(r"\s", "", output)) is not None

    def is_question(self) -> bool:
        """Whether it changes nothing, so that it may be asked again until what is shown has come."""
        return self.text.startswith("curl '") and self.shown is not None

    def fails(self) -> bool:
        """Whether it is shown to fail."""
        return (
            self.shown is not None and re.search(r"^recant: ", self.shown, re.MULTILINE) is not None
        )


@dataclass
class Block:
    """A block of a page."""

    line: int
    language: str
    text: str
    first: str | None
    not_run: str | None

    def steps(self) -> list[Step]:
        """What is run, in turn."""
        if self.language != "console":
            return [Step(self.line, self.language, self.text)]
        steps: list[Step] = []
        goes_on = False
        for number, line in enumerate(self.text.splitlines(), self.line + 1):
            if goes_on:
                steps[-1].text += "\n" + line
            elif line.startswith("$ "):
                steps.append(Step(number, "console", line[2:], ""))
            else:
                assert steps, f"line {number}: output before a command"
                steps[-1].shown = f"{steps[-1].shown}{line}\n"
                continue
            goes_on = line.endswith("\\")
        for step in steps:
            # No output that is shown is none that is told of: most commands would print much.
            step.shown = step.shown or None
        return steps


def blocks(path: Path) -> list[Block]:
    """All blocks of a page in one of the languages."""
    text = path.read_text()
    found = []
    for match in FENCE.finditer(text):
        if match["language"] not in LANGUAGES:
            continue
        line = text.count("\n", 0, match.start("text"))
        said = {match["what"]: match["said"]}
        block = Block(
            line, match["language"], match["text"], said.get("first"), said.get("not run")
        )
        found.append(block)
    return found
