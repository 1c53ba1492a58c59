"""Stacks for tests: below ``.dev/test/``, and beside another test run's where there is one."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPException
from itertools import count
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from server.dev.commands import gunicorn_command
from server.dev.ports import HOST, free_ports
from server.dev.postgres import Cluster
from server.dev.process import Process, StackError, wait_until
from server.dev.stack import Stack
from tests.client import ask
from tests.ledger_sql import run_sql

# A data folder knows its Postgres: make matrix has another one.
PLACE = "matrix" if "POSTGRES_BIN" in os.environ else "test"
FOLDER = Path(__file__).resolve().parent.parent / ".dev" / PLACE


@contextmanager
def running_stack(name: str, **options: Any) -> Iterator[Stack]:
    """A started Stack in the first folder of that name that no other test run holds.

    With ``test_clock=True`` time passes as the test says: ``stack.test_clock.forward(90)``. No
    evaluator runs but with ``evaluator=True``, and no relay but with ``relay=True``. Keys are
    rotated as often as a test likes.
    """
    options["env"] = {"PLEXSPHERE_KEY_ROTATION_INTERVAL": "0", **options.get("env", {})}
    for number in count(1):
        folder = FOLDER / (name if number == 1 else f"{name}-{number}")
        stack = Stack(folder, **options)
        copy_cluster(stack.places.postgres)
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


def copy_cluster(folder: Path) -> None:
    """Copy the data folder that initdb made once, which costs a tenth of an initdb."""
    if (folder / "data").exists():
        return
    original = FOLDER / "initdb"
    original.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "initdb.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        Cluster(original, 0).create()
    folder.parent.mkdir(parents=True, exist_ok=True)
    copy = Path(mkdtemp(dir=folder.parent, prefix="copy-"))
    try:
        # Python's own copies lose the owner, who alone may start Postgres on it.
        subprocess.run(["cp", "-a", f"{original}/.", copy], check=True)
        copy.rename(folder)  # into the place of an empty folder, or of none
    except OSError:  # another run was quicker
        rmtree(copy)


def made_anew_next_time(stack: Stack) -> None:
    """For a test that does not leave the ledger as it was, however it ends."""
    stack.places.sample_stamp.unlink(missing_ok=True)


def as_if_an_evaluator_had_swept(stack: Stack) -> None:
    """For doctor, in a stack where none runs. It moves no Node."""
    run_sql(
        stack.dsn,
        "INSERT INTO plexsphere.evaluator_watch (watching_since, swept_at)"
        " VALUES ('-infinity', now()) ON CONFLICT (is_only) DO UPDATE SET swept_at = now()",
    )


@contextmanager
def another_build(
    stack: Stack, name: str, application: str, env: Mapping[str, str]
) -> Iterator[str]:
    """The URL of a test build beside the stack's own gunicorn, on the same parts.

    ``application`` is ``module:name``. Any answer will do: a build may give no 200 at all, and its
    port listens before a worker is there, or is known not to come.
    """
    port = free_ports(1)[0]
    url = f"http://{HOST}:{port}"
    settings = {**stack.env, **env, "PLEXSPHERE_BIND": f"{HOST}:{port}"}
    (stack.places.gunicorn / name).mkdir(parents=True, exist_ok=True)
    command = gunicorn_command(stack.places, name, settings, log_to_file=True)
    process = Process(replace(command, argv=[*command.argv[:-1], application]))
    try:
        wait_until(lambda: _has_answered(url), process, 60.0, "answering")
        yield url
    finally:
        process.end(command.death_signal, 15.0)


def _has_answered(url: str) -> bool:
    try:
        return ask(url, "/livez").status > 0
    except (OSError, HTTPException):
        return False
