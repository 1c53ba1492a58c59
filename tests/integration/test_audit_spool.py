"""Audit rows on disk: they outlive every process, and are written once, in order."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from db import audit
from db.audit_spool import SUFFIX, AuditSpool
from tests.integration.ledger_audit import Watched, emptied, refused_by_the_table
from tests.integration.ledger_rows import Hand
from tests.waiting import until

pytest_plugins = "tests.integration.ledger_fixtures"

NOWHERE = "host=127.0.0.1 port=1"
LARGE = 1 << 20


@pytest.fixture
def dsn(ledger_dsn: str) -> str:
    return emptied(ledger_dsn)


class Disk:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damage: list[int] = []

    def spool(self, max_bytes: int = LARGE) -> AuditSpool:
        return AuditSpool(self.folder, max_bytes, lambda file, size: self.damage.append(size))

    def files(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{SUFFIX}"))

    @contextmanager
    def sink(self, dsn: str, **settings: Any) -> Iterator[Watched]:
        watched = Watched(dsn, spool=self.spool(), **settings)
        try:
            yield watched
        finally:
            watched.sink.close(0.0)

    def killed(self, dsn: str, numbers: range, *, flushed: int = 0) -> None:
        """A process records rows, and is killed. The ledger has only the first ``flushed``."""
        child = os.fork()
        if child == 0:
            watched = Watched(dsn, spool=self.spool())
            watched.record(numbers[:flushed])
            watched.sink.flush(10.0)
            audit.FLUSH_INTERVAL = 60.0
            watched.record(numbers[flushed:])
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def test_rows_of_killed_processes_are_written_in_order_before_later_ones(
    dsn: str, disk: Disk
) -> None:
    disk.killed(NOWHERE, range(700))
    with disk.sink(dsn) as watched:
        expected = [f"c-{number}" for number in range(700)] + watched.record(range(700, 800))
        assert watched.sink.flush(20.0)
        assert (watched.kept(), watched.lost) == (expected, [])
    assert disk.files() == []


def test_rows_of_a_killed_process_are_written_without_a_later_row(dsn: str, disk: Disk) -> None:
    disk.killed(NOWHERE, range(5))
    with disk.sink(dsn) as watched:
        watched.sink.start()
        expected = [f"c-{number}" for number in range(5)]
        until(lambda: watched.kept() == expected, "the rows of the killed process")


def test_rows_that_the_ledger_has_are_not_written_again(dsn: str, disk: Disk) -> None:
    disk.killed(dsn, range(5), flushed=3)
    assert len(disk.files()) == 1
    with disk.sink(dsn) as watched:
        expected = [f"c-{number}" for number in range(5)] + watched.record(range(5, 6))
        assert watched.sink.flush(20.0)
        assert watched.kept() == expected


def test_a_torn_end_is_ignored_with_a_line_and_the_rows_before_it_are_written(
    dsn: str, disk: Disk
) -> None:
    disk.killed(NOWHERE, range(3))
    (file,) = disk.files()
    os.truncate(file, file.stat().st_size - 5)
    with disk.sink(dsn) as watched:
        watched.record(range(9, 10))
        assert watched.sink.flush(20.0)
        assert watched.kept() == ["c-0", "c-1", "c-9"]
    assert len(disk.damage) == 1


def test_a_file_whose_rows_are_refused_waits_and_holds_up_nobody(dsn: str, disk: Disk) -> None:
    disk.killed(NOWHERE, range(2))
    condition = "correlation_id NOT IN ('c-0', 'c-1')"
    with (
        closing(Hand(dsn)) as hand,
        refused_by_the_table(hand, condition),
        disk.sink(dsn) as watched,
    ):
        expected = watched.record(range(5, 7))
        assert watched.sink.flush(20.0)
        assert (watched.kept(), watched.parked) == (expected, [])
    assert len(disk.files()) == 1


def test_a_file_of_others_is_left_alone(dsn: str, disk: Disk) -> None:
    disk.killed(NOWHERE, range(2))
    (file,) = disk.files()
    file.chmod(0o644)
    (disk.folder / f"notes{SUFFIX}").write_text("mine")
    with disk.sink(dsn) as watched:
        watched.record(range(9, 10))
        assert watched.sink.flush(20.0)
        assert watched.kept() == ["c-9"]
    assert len(disk.files()) == 2


def test_a_process_that_runs_keeps_its_file(dsn: str, disk: Disk) -> None:
    with disk.sink(NOWHERE) as running, disk.sink(dsn) as other:
        running.record(range(2))
        expected = other.record(range(5, 6))
        assert other.sink.flush(20.0)
        assert other.kept() == expected


def test_rows_that_wait_at_the_end_are_not_lost(dsn: str, disk: Disk) -> None:
    with disk.sink(NOWHERE) as watched:
        expected = watched.record(range(20))
        watched.sink.close(0.1)
    assert watched.lost == []
    with disk.sink(dsn) as after:
        expected += after.record(range(50, 51))
        assert after.sink.flush(20.0)
        assert after.kept() == expected


def test_what_the_disk_does_not_take_waits_in_memory_and_is_bounded(disk: Disk) -> None:
    watched = Watched(NOWHERE, spool=disk.spool(max_bytes=1_000), capacity=3)
    watched.record(range(50))
    watched.sink.close(0.1)
    on_disk = sum(file.read_bytes().count(b"\n") for file in disk.files())
    assert sum(file.stat().st_size for file in disk.files()) <= 1_000
    assert 0 < on_disk < 10
    assert sum(rows for rows, reason in watched.lost if reason == "queue_full") == 47 - on_disk
    assert watched.lost[-1] == (3, "shutdown")
    assert [str(error) for error in watched.failed if isinstance(error, OSError)] == [
        "the spool takes no row, so rows wait in memory"
    ]


def test_the_time_of_a_row_is_when_it_was_recorded(dsn: str, disk: Disk) -> None:
    disk.killed(NOWHERE, range(1))
    with closing(Hand(dsn)) as hand, disk.sink(dsn) as watched:
        watched.record(range(1, 2))
        assert watched.sink.flush(20.0)
        (young,) = hand.run(
            "SELECT bool_and(occurred_at BETWEEN now() - interval '1 minute' AND now())"
            " FROM plexsphere.audit_rows"
        )
    assert young == (True,)
