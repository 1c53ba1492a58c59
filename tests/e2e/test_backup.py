"""``backup`` and ``restore``: another Postgres and a blank SpiceDB answer the same pulls."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from server.cli.pull_digests import digests_file
from server.dev.postgres import binary
from server.dev.stack import Stack
from tests.client import ask, pull_path
from tests.command_runs import failed, run
from tests.integration.spicedb_parts import KEY, SpiceDb, spicedb_in

if TYPE_CHECKING:
    from tests.integration.ledger_fixtures import FreshDatabase

pytest_plugins = "tests.integration.ledger_fixtures"


@pytest.fixture(scope="module")
def dump(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("backup") / "ledger.dump"
    done = run("backup", str(file), **with_programs(stack.env))
    assert done.exit_code == 0, done.output
    assert file.stat().st_mode & 0o777 == 0o600
    return file


@pytest.fixture
def blank_spicedb(tmp_path: Path) -> Iterator[SpiceDb]:
    with spicedb_in(tmp_path / "spicedb") as running:
        yield running


def with_programs(env: dict[str, str]) -> dict[str, str]:
    """With pg_dump and pg_restore on the PATH."""
    return {**env, "PATH": f"{binary('pg_dump').parent}:{os.environ['PATH']}"}


def places_of(dsn: str, spicedb: SpiceDb) -> dict[str, str]:
    return {
        "PLEXSPHERE_DSN": dsn,
        "PLEXSPHERE_SPICEDB_ENDPOINT": f"127.0.0.1:{spicedb.port}",
        "PLEXSPHERE_SPICEDB_TOKEN": KEY,
    }


def test_a_restored_ledger_and_a_blank_spicedb_answer_the_same_pull(
    stack: Stack, dump: Path, fresh_database: FreshDatabase, blank_spicedb: SpiceDb
) -> None:
    places = places_of(fresh_database(), blank_spicedb)
    settings = {**with_programs(stack.env), **places}
    done = run("restore", str(dump), **settings)
    assert done.exit_code == 0, done.output
    nodes = len(digests_file(dump).read_text().splitlines())
    assert nodes >= stack.sample.nodes > 0
    assert f"every pull is that of the backup: {nodes} Nodes\n" in done.stdout

    path = pull_path(stack.node_id)
    moved = stack.extra_gunicorn("restored", places)
    try:
        found, expected = (ask(url, path, stack.headers) for url in (moved.url, stack.url))
    finally:
        moved.stop()
    assert found.status == 200, found.body
    assert found.headers["etag"] == expected.headers["etag"]
    assert found.body == expected.body

    again = failed(run("restore", str(dump), **settings), 1)
    assert "has a ledger already" in again


def test_a_pull_that_differs_is_named(
    stack: Stack, dump: Path, fresh_database: FreshDatabase, blank_spicedb: SpiceDb, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.dump"
    copy.write_bytes(dump.read_bytes())
    first, *others = digests_file(dump).read_text().splitlines()
    node = first.split()[0]
    digests_file(copy).write_text("\n".join([f"{node} {'0' * 64}", *others]))
    places = places_of(fresh_database(), blank_spicedb)
    done = run("restore", str(copy), **{**with_programs(stack.env), **places})
    assert done.exit_code == 1
    assert f"error: the pulls of 1 Node differ: {node}." in done.stderr


def test_a_backup_replaces_no_file(stack: Stack, dump: Path) -> None:
    assert "exists: choose another name" in failed(run("backup", str(dump), **stack.env), 2)


def test_a_backup_that_fails_leaves_nothing(stack: Stack, tmp_path: Path) -> None:
    env = {**stack.env, "PATH": str(tmp_path)}
    sentence = failed(run("backup", str(tmp_path / "ledger.dump"), **env), 2)
    assert "pg_dump is not on the PATH" in sentence
    assert list(tmp_path.iterdir()) == []
