"""The memory of a host of what it has served of the ledger, and a server that has less."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from composer.deadline import Deadline
from composer.errors import LedgerBehind
from composer.position import LedgerPosition, parse_position
from db.positions import Positions, Promoted, Server, Snapshot, parse_snapshot, server_in
from db.snapshot_reads import PRIMARY_MOMENT, REST_SECONDS, SnapshotReads
from db.statements import Prepared
from server.ledger_pools import host_positions
from server.settings import Settings
from tests.fakes import FakeClock
from tests.ports.deadlines import in_time

SERVED = Server(system=7, timeline=2, is_standby=False, wal_end=1000, promoted_at=None)
NODE = UUID(int=1)


@pytest.fixture
def positions() -> Positions:
    found = Positions()
    found.check(lambda: SERVED)
    return found


@pytest.mark.parametrize(
    ("server", "fault"),
    [
        (SERVED, None),
        (replace(SERVED, wal_end=1001), None),
        (replace(SERVED, wal_end=999), "1 bytes before"),
        (replace(SERVED, system=8), "another ledger"),
        (replace(SERVED, timeline=1, wal_end=2000), "timeline 1, and 2"),
        (replace(SERVED, timeline=3, wal_end=2000, promoted_at=1000), None),
        (replace(SERVED, timeline=3, wal_end=2000, promoted_at=990), "10 bytes before"),
        (replace(SERVED, timeline=3, wal_end=2000), None),
        (replace(SERVED, timeline=3, wal_end=2000, left_at=lambda: {1: 50, 2: 1000}), None),
        (
            replace(SERVED, timeline=3, wal_end=2000, left_at=lambda: {1: 50, 2: 990}),
            "10 bytes before",
        ),
        (
            replace(
                SERVED,
                timeline=4,
                wal_end=3000,
                promoted_at=2000,
                left_at=lambda: {2: 990, 3: 2000},
            ),
            "10 bytes before",
        ),
        (replace(SERVED, timeline=3, wal_end=2000, left_at=lambda: {1: 50}), "1000 bytes before"),
        (replace(SERVED, is_standby=True), None),
        (replace(SERVED, is_standby=True, wal_end=900), "100 bytes before"),
    ],
    ids=[
        *("the same", "later", "a copy of before", "another", "before a failover", "after one"),
        *("after one that lost", "restarted after one", "the history is complete"),
        *("the history lost some", "after two of which the first lost", "another branch"),
        *("a standby", "a standby that lags"),
    ],
)
def test_a_server_must_have_all_that_was_served(
    positions: Positions, server: Server, fault: str | None
) -> None:
    if fault is None:
        positions.check(lambda: server)
    else:
        with pytest.raises(LedgerBehind, match=fault):
            positions.check(lambda: server)
        assert positions.seen == (7, 2, 1000)


def test_the_history_of_a_timeline_that_was_served_is_not_read(positions: Positions) -> None:
    rows = [("7", 2, False, 1000, None, True, "7 2 off")]
    session: Any = SimpleNamespace(run=lambda query, arguments: [rows.pop()])
    positions.check(lambda: server_in(session))
    assert rows == []


def test_what_others_see_while_a_server_is_asked_is_not_missed(positions: Positions) -> None:
    def ask() -> Server:
        answer = replace(SERVED, wal_end=1100)
        positions.check(lambda: replace(SERVED, wal_end=1200))
        return answer

    positions.check(ask)
    assert positions.seen == (7, 2, 1200)


def test_what_was_accepted_is_the_ledger_from_then_on(positions: Positions) -> None:
    positions.served(NODE, seen(50))
    restored = replace(SERVED, system=8, timeline=1, wal_end=10)
    positions.accept(restored)
    positions.check(lambda: restored)
    assert (positions.seen, positions.of_node(NODE)) == ((8, 1, 10), (0, 0))


def test_processes_share_a_file_that_outlives_them(tmp_path: Path) -> None:
    path = tmp_path / "positions"
    first, second = Positions(path), Positions(path)
    first.check(lambda: SERVED)
    first.served(NODE, seen(50))
    assert (second.seen, second.of_node(NODE)) == ((7, 2, 1000), (0, 50))
    second.served(NODE, seen(40, by_standby=True))
    assert first.of_node(NODE) == (40, 50)
    assert Positions(path).of_node(NODE) == (40, 50)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"torn", b"x" * 1_048_608])
def test_a_file_that_is_not_ours_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "positions"
    path.write_bytes(content)
    assert Positions(path).seen == (0, 0, 0)
    Positions(path).check(lambda: SERVED)
    assert Positions(path).seen == (7, 2, 1000)


def test_a_full_disk_is_an_error_at_once_and_not_the_end_of_the_process_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "positions"
    allocate = os.posix_fallocate
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError):
        Positions(path)
    assert os.listdir("/proc/self/fd") == before
    monkeypatch.setattr("server.ledger_pools.metrics_directory", lambda: str(tmp_path))
    host_positions(Settings()).check(lambda: SERVED)
    monkeypatch.setattr(os, "posix_fallocate", allocate)
    assert Positions(path).seen == (0, 0, 0)
    assert path.stat().st_blocks * 512 >= path.stat().st_size > NODE.int


def refuse(*arguments: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_process_beside_the_service_makes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "positions"
    Positions.of_service(str(path)).check(lambda: SERVED)
    assert not path.exists()
    Positions(path).check(lambda: SERVED)
    assert Positions.of_service(str(path)).seen == (7, 2, 1000)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "positions").symlink_to(tmp_path / "other")
    with pytest.raises(OSError):
        Positions(tmp_path / "positions")


def test_a_snapshot_says_its_server_and_what_it_sees() -> None:
    found = parse_snapshot("7 2 off off 10:15:10,12")
    assert found == Snapshot(LedgerPosition(7, 2, 10, 15), is_standby=False)
    assert parse_snapshot(None) is None
    with pytest.raises(Promoted):
        parse_snapshot("7 2 on off 10:15:")


def test_a_position_has_one_text_and_others_are_none() -> None:
    position = LedgerPosition(2**64 - 1, 3, 10, 15)
    assert parse_position(position.text) == position
    for text in ("", "7-2-10", "7-2-10-15 ", "G-2-10-15", "7-2-10-" + "9" * 20):
        assert parse_position(text) is None


class FakePool:
    """A primary whose statements see the next of some snapshots, the last one for ever."""

    def __init__(self, *snapshots: str) -> None:
        self.snapshots = list(snapshots)
        self.asked = 0

    def fetch(
        self, query: Prepared, arguments: Mapping[str, object], deadline: Deadline
    ) -> list[tuple[Any, ...]]:
        self.asked += 1
        shown = self.snapshots.pop(0) if len(self.snapshots) > 1 else self.snapshots[0]
        return [("row", shown)]


@pytest.fixture
def read(
    positions: Positions, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[object, ...]]:
    clock = FakeClock()

    def sleep(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setattr("db.snapshot_reads.time.sleep", sleep)
    monkeypatch.setattr(SnapshotReads, "_note", lambda *arguments, **named: None)

    def found(*snapshots: str) -> tuple[object, ...]:
        reads = SnapshotReads(FakePool(*snapshots), positions)  # type: ignore[arg-type]
        deadline = Deadline.after(PRIMARY_MOMENT, clock)
        return reads.row(Prepared("snapshot_for_node"), {}, NODE, deadline)

    return found


def test_a_primary_is_asked_again_while_a_standby_was_before_it(
    positions: Positions, read: Callable[..., tuple[object, ...]]
) -> None:
    positions.served(NODE, seen(16, by_standby=True))
    assert read("7 2 off off 15:17:15", "7 2 off off 16:17:")[-1] == "7 2 off off 16:17:"
    with pytest.raises(LedgerBehind):
        read("7 2 off off 15:17:15")


def test_a_replica_that_was_promoted_is_asked_again_after_a_rest(
    positions: Positions, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, replica = FakeClock(), FakePool("7 3 off off 16:16:")
    monkeypatch.setattr(SnapshotReads, "_note", lambda *arguments, **named: None)
    reads = SnapshotReads(
        FakePool("7 2 off off 16:16:"),  # type: ignore[arg-type]
        positions,
        replica,  # type: ignore[arg-type]
        clock,
    )
    for asked in (1, 1, 2):
        deadline = Deadline.after(PRIMARY_MOMENT, clock)
        reads.row(Prepared("snapshot_for_node"), {}, NODE, deadline)
        assert replica.asked == asked
        clock.now += REST_SECONDS / 2


class SlowPool(FakePool):
    """Its sessions wait until they may go on, and their server has less than was served."""

    def __init__(self) -> None:
        super().__init__("7 2 off off 15:17:15")
        self.may_go_on, self.is_closed = Event(), Event()

    @contextmanager
    def session(self, deadline: Deadline) -> Iterator[Any]:
        assert self.may_go_on.wait(10)
        behind = ("7", 2, False, 999, None, False, "7 2 off")
        yield SimpleNamespace(run=lambda query, arguments: [behind])

    def close(self) -> None:
        self.is_closed.set()


def test_a_pull_that_has_its_row_does_not_wait_for_the_end_of_the_wal(positions: Positions) -> None:
    pool = SlowPool()
    reads = SnapshotReads(pool, positions)  # type: ignore[arg-type]
    row = reads.row(Prepared("snapshot_for_node"), {}, NODE, in_time())
    assert row == ("row", "7 2 off off 15:17:15")
    pool.may_go_on.set()
    assert pool.is_closed.wait(10)


def seen(number: int, by_standby: bool = False) -> Snapshot:
    return Snapshot(LedgerPosition(7, 2, number, number), by_standby)
