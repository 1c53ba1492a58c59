"""The files of the spool: their bytes are bounded together, and files of others may go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from types import SimpleNamespace

import pytest

from db.audit_batches import QueuedRow
from db.audit_spool import MEASURED_EVERY, AuditSpool
from tests.fakes import FakeClock
from tests.integration.ledger_audit import row

MOST = 5_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def processes(tmp_path: Path, clock: FakeClock) -> Iterator[list[AuditSpool]]:
    made = [AuditSpool(tmp_path, MOST, lambda file, size: None, clock) for _ in range(4)]
    yield made
    for spool in made:
        spool.close()


def put(spool: AuditSpool, clock: FakeClock) -> bool:
    return spool.put(QueuedRow(clock.now, row(1)))


def test_all_processes_together_have_so_many_bytes_while_the_ledger_is_away(
    processes: list[AuditSpool], clock: FakeClock, tmp_path: Path
) -> None:
    taken = 0
    for spool in processes:
        while put(spool, clock):
            taken += 1
        clock.now += MEASURED_EVERY
    assert taken > 10
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= MOST


def test_a_spool_that_was_full_has_room_when_its_rows_are_written(
    processes: list[AuditSpool], clock: FakeClock
) -> None:
    spool = processes[0]
    while put(spool, clock):
        pass
    own = spool.own
    assert own is not None
    while batch := own.batch(100):
        own.done(len(batch.rows))
    spool.renew()
    assert put(spool, clock)


def test_a_spool_whose_folder_is_removed_takes_no_row_until_it_is_there_again(
    processes: list[AuditSpool], clock: FakeClock, tmp_path: Path
) -> None:
    spool = processes[0]
    assert put(spool, clock)
    rmtree(tmp_path)
    assert not put(spool, clock)
    own = spool.own
    assert own is not None
    batch = own.batch(100)
    assert batch is not None
    own.done(len(batch.rows))
    spool.renew()
    assert not put(spool, clock)
    tmp_path.mkdir()
    assert put(spool, clock)


def test_a_file_that_goes_while_the_folder_is_read_hides_no_other(
    processes: list[AuditSpool],
    clock: FakeClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for spool in processes[1:]:
        assert put(spool, clock)
        assert spool.own is not None
        os.close(spool.own._descriptor)  # as the end of a process does
        spool.own = None
    entries = list(os.scandir(tmp_path))
    Path(entries[0].path).unlink()
    monkeypatch.setattr(
        "db.audit_spool.os", SimpleNamespace(**{**vars(os), "scandir": lambda _: entries})
    )
    found = list(processes[0].left_behind())
    for file in found:
        file.close(delete=True)
    assert len(found) == 2
