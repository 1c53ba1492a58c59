"""Waiting for what another thread or process does, without a fixed pause; jobs in threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    """Returns once the condition holds; fails with ``what`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.01)


def at_once(jobs: Iterable[Callable[[], T]]) -> list[T]:
    """The results, in the order of the jobs; 32 run at the same time."""
    with ThreadPoolExecutor(32) as pool:
        return [sent.result() for sent in [pool.submit(job) for job in jobs]]
