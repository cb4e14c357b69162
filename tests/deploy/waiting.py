"""Waiting for a condition."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(
    condition: Callable[[], bool], what: str = "what was waited for", seconds: float = 60
) -> None:
    """Waits for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.1)
