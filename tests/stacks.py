"""Stacks for tests: below ``.dev/test/``, and beside another test run's where there is one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from server.dev.process import StackError
from server.dev.stack import Stack

# A data folder knows its Postgres: make matrix has another one.
PLACE = "matrix" if "POSTGRES_BIN" in os.environ else "test"
FOLDER = Path(__file__).resolve().parent.parent / ".dev" / PLACE


@contextmanager
def running_stack(name: str, **options: Any) -> Iterator[Stack]:
    """A started Stack in the first folder of that name that no other test run holds.

    With ``moved_time=True`` time passes as the test says: ``stack.moved_time.forward(90)``. No
    evaluator runs but with ``evaluator=True``, and no relay but with ``relay=True``.
    """
    for number in count(1):
        folder = FOLDER / (name if number == 1 else f"{name}-{number}")
        stack = Stack(folder, **options)
        try:
            stack.start()
        except StackError as error:
            if "already runs" not in str(error) or number == 9:
                raise
            continue
        try:
            yield stack
        finally:
            stack.stop()
        return


def made_anew_next_time(stack: Stack) -> None:
    """For a test that does not leave the ledger as it was, however it ends."""
    stack.places.sample_stamp.unlink(missing_ok=True)
