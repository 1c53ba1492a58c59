"""`make run` over parts that only wait: what it does with its parts, without their cost.

python -m tests.waiting_stack FOLDER
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from server.dev import run
from server.dev.parts import Part
from server.dev.process import Command, Process
from server.dev.stack import Stack

PARTS = ("postgres", "spicedb", "gunicorn", "evaluator", "relay")


class WaitingStack(Stack):
    """Each part is a `sleep` in a folder of its own."""

    def _start(self) -> None:
        for name in PARTS:
            self._add(Part(name, 1, signal.SIGTERM, partial(self._launch, name), _is_ready)).start()

    def _launch(self, name: str) -> Process:
        folder = self.places.folder / name
        folder.mkdir(exist_ok=True)
        return Process(Command(name, ["sleep", "600"], {}, folder, signal.SIGTERM))

    @property
    def env(self) -> dict[str, str]:
        return {}

    @property
    def identities(self) -> dict[str, str]:
        return {"PLEXSPHERE_TOKEN": "token"}


class NothingSaved:
    """A reloader of a tree that nobody edits."""

    def __init__(self, **arguments: object) -> None:
        pass

    def poll(self) -> None:
        pass


def _is_ready(process: Process) -> None:
    """At once."""


if __name__ == "__main__":
    replaced: Mapping[str, type] = {"Stack": WaitingStack, "Reloader": NothingSaved}
    for name, replacement in replaced.items():
        setattr(run, name, replacement)
    sys.exit(run.run_dev(nodes=3, folder=Path(sys.argv[1])))
