"""A disk that is full under the whole service, and audit rows on it. Part of ``make matrix``."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from server.dev.parts import Part
from server.dev.stack import Stack
from tests.client import ask, bearer, pull_path
from tests.ledger_sql import run_sql
from tests.small_disk import empty, fill, small_disk
from tests.stacks import FOLDER, running_stack
from tests.waiting import until

BYTES = 16 * 1024 * 1024
NAME = "small-disk"


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    """The services of the stack below have their logs, metrics and audit rows on it."""
    folder = FOLDER / NAME / "gunicorn"
    with small_disk(folder, BYTES):
        yield folder


@pytest.fixture(scope="module")
def stack(disk: Path) -> Iterator[Stack]:
    with running_stack(NAME, nodes=8, workers=1) as running:
        yield running


@pytest.fixture
def service(stack: Stack, disk: Path) -> Iterator[Part]:
    (disk / "audit-rows").mkdir(mode=0o700, exist_ok=True)
    part = stack.extra_gunicorn("spooling", {"PLEXSPHERE_AUDIT_SPOOL": str(disk / "audit-rows")})
    yield part
    empty(disk)
    part.stop()


def pulled(service: Part, stack: Stack, *correlations: str) -> list[str]:
    for correlation in correlations:
        headers = {**bearer(stack.token()), "X-Correlation-Id": correlation}
        assert ask(service.url, pull_path(stack.node_id), headers).status == 200
    return list(correlations)


def workers(service: Part) -> set[str]:
    return set(Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split())


def test_a_full_disk_ends_no_worker_and_no_start_of_one(
    service: Part, stack: Stack, disk: Path
) -> None:
    pulled(service, stack, "room")
    fill(disk)
    before = workers(service)
    for path in ("/metrics", "/v1/openapi.yaml", "/nonsense", "/readyz", "/v1/health"):
        for _ in range(6):  # each worker counts what it has not counted yet
            assert ask(service.url, path).status in (200, 404)
    assert workers(service) == before
    os.kill(service.pid, signal.SIGHUP)
    until(lambda: not before & workers(service), "the workers of before to end")
    pulled(service, stack, "full-1", "full-2")
    assert ask(service.url, "/metrics").status == 200


def test_audit_rows_outlive_kill_9_of_everything_and_wait_in_memory_on_a_full_disk(
    service: Part, stack: Stack, disk: Path
) -> None:
    with closing(psycopg2.connect(stack.dsn)) as holder, holder.cursor() as cursor:
        cursor.execute("LOCK TABLE plexsphere.audit_rows IN ACCESS EXCLUSIVE MODE")
        expected = pulled(service, stack, *(f"disk-{number}" for number in range(20)))
        service.kill()
        fill(disk)
        service.start()
        expected += pulled(service, stack, *(f"memory-{number}" for number in range(20)))
    sql = "SELECT correlation_id FROM plexsphere.audit_rows WHERE correlation_id = ANY (%s)"
    until(
        lambda: sorted(row[0] for row in run_sql(stack.dsn, sql, [expected])) == sorted(expected),
        "each row once",
    )
