"""The same ledger is the same bytes, wherever and by whom it is read.

What varies: the process and its environment here, the database in `test_byte_equal_databases.py`.
What it is compared with never does: the bodies kept under `tests/golden`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from server.dev.stack import Stack
from tests.client import ask, pull_path
from tests.golden.pull import kept
from tests.ledger_sql import run_sql
from tests.oracle import expected_body

pytest_plugins = ("tests.integration.ledger_fixtures", "tests.integration.golden_ledgers")


ROOT = Path(__file__).resolve().parents[2]


# Several variations a process, for starting one is all the work there is.
ENVIRONMENTS = {
    "east of UTC, C locale": {
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "LC_ALL": "C",
        "TZ": "Asia/Kathmandu",
        "PGTZ": "Asia/Kathmandu",
    },
    "west of UTC, UTF-8 mode": {
        "PYTHONHASHSEED": "1",
        "PYTHONUTF8": "1",
        "LC_ALL": "POSIX",
        "TZ": "America/St_Johns",
        "PGTZ": "America/St_Johns",
        "PGCLIENTENCODING": "LATIN1",
    },
    "optimized, with options of libpq": {
        "PYTHONHASHSEED": "random",
        "PYTHONOPTIMIZE": "2",
        "PGDATESTYLE": "German, DMY",
        "PGOPTIONS": "-c TimeZone=Asia/Tokyo -c bytea_output=escape",
    },
}


def in_another_process(dsn: str, environment: dict[str, str]) -> dict[str, bytes]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.golden.pull", dsn],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return {name: bytes.fromhex(body) for name, body in json.loads(done.stdout).items()}


@pytest.fixture(scope="module")
def elsewhere(filled: str) -> dict[str, dict[str, bytes]]:
    """The pull of each environment's process; two at a time, because they do little but start."""
    with ThreadPoolExecutor(2) as starters:
        found = starters.map(
            lambda environment: in_another_process(filled, environment), ENVIRONMENTS.values()
        )
        return dict(zip(ENVIRONMENTS, found, strict=True))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_another_process_says_the_same(
    elsewhere: dict[str, dict[str, bytes]], environment: str
) -> None:
    assert elsewhere[environment] == kept()


def test_every_worker_says_of_the_sample_what_the_second_implementation_says(stack: Stack) -> None:
    """Twice and more, so that both workers are asked; over the socket, as an operator."""
    node_ids = [row[0] for row in run_sql(stack.dsn, "SELECT id::text FROM plexsphere.nodes")]
    with closing(psycopg2.connect(stack.dsn)) as connection:
        expected = {node: expected_body(connection, node) for node in node_ids[:64]}
    differing = {
        node
        for node in expected
        for _ in range(3)
        if ask(stack.url, pull_path(node), as_agent(stack, node)).body != expected[node]
    }
    assert expected and differing == set()


def as_agent(stack: Stack, node: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {stack.token(f'node:{node}')}"}
