"""The limits of a host: buckets by subject and source, in a table that its processes share."""

from __future__ import annotations

import errno
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

import pytest

from composer.errors import RateLimited
from composer.limits import Limit
from server.gunicorn.sources import Sources
from server.http import request_context
from server.http.moments import PLACES, MomentTable
from server.http.rate_limits import GRANT_SECONDS, HostLimits, Rate, request_source
from tests.fakes import FakeClock, FakeRequestLimits
from tests.ports.request_limits import PERMISSION, SUBJECT, RequestLimitsSuite

STRANGER, OTHER = "user:stranger", "user:other"
WANTED, OWN = "node-agent on node:1", "node-agent on node:2"
RATES = {
    Limit.REFUSALS: Rate(3, 60.0),
    Limit.SECRET_KEYS: Rate(2, 60.0),
    Limit.KEY_ROTATIONS: Rate(1, 10.0),
    Limit.REGISTRATIONS: Rate(0, 60.0),
}


@dataclass
class Arranged:
    clock: FakeClock = field(default_factory=FakeClock)
    source: str = "192.0.2.1"
    counted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.limits = self.worker(MomentTable())

    def worker(self, table: MomentTable) -> HostLimits:
        return HostLimits(RATES, table, lambda: self.source, self.counted.append, self.clock)

    def refuse(self, subject: str, times: int) -> None:
        for _ in range(times):
            self.limits.admit(subject, WANTED)
            self.limits.refused(subject)

    def wait(self, subject: str, limit: Limit | None = None, content: bytes | None = None) -> float:
        with pytest.raises(RateLimited) as limited:
            self.limits.admit(subject, WANTED, limit, content)
        return limited.value.retry_after


@pytest.fixture
def arranged() -> Arranged:
    return Arranged()


class TestHostLimits(RequestLimitsSuite):
    @pytest.fixture
    def limits(self, arranged: Arranged) -> HostLimits:
        return arranged.limits

    @pytest.fixture
    def spent(self, arranged: Arranged) -> HostLimits:
        arranged.limits.admit(SUBJECT, PERMISSION, Limit.KEY_ROTATIONS)
        return arranged.limits


class TestFakeRequestLimits(RequestLimitsSuite):
    @pytest.fixture
    def limits(self) -> FakeRequestLimits:
        return FakeRequestLimits()

    @pytest.fixture
    def spent(self) -> FakeRequestLimits:
        return FakeRequestLimits(fails=RateLimited("spent", 6.2))


def test_a_subject_that_is_refused_again_and_again_waits(arranged: Arranged) -> None:
    arranged.refuse(STRANGER, 3)
    assert arranged.wait(STRANGER) == pytest.approx(20)
    arranged.clock.now += 19
    assert arranged.wait(STRANGER) == pytest.approx(1)
    arranged.clock.now += 1.01
    arranged.refuse(STRANGER, 1)
    assert arranged.wait(STRANGER) > 0
    assert set(arranged.counted) == {"refusals"}


def test_another_subject_and_another_source_do_not_wait(arranged: Arranged) -> None:
    arranged.refuse(STRANGER, 3)
    arranged.limits.admit(OTHER, WANTED)
    arranged.source = "192.0.2.2"
    arranged.limits.admit(STRANGER, WANTED)


def test_a_subject_is_limited_in_what_it_does_not_have_and_in_nothing_that_it_has(
    arranged: Arranged,
) -> None:
    arranged.limits.granted(STRANGER, OWN)
    arranged.refuse(STRANGER, 3)
    assert arranged.wait(STRANGER) > 0
    arranged.limits.admit(STRANGER, OWN)


def test_a_permission_that_was_granted_lately_is_not_limited(arranged: Arranged) -> None:
    arranged.limits.granted(STRANGER, WANTED)
    arranged.refuse(STRANGER, 9)
    arranged.clock.now += GRANT_SECONDS - 1
    arranged.refuse(STRANGER, 3)
    arranged.clock.now += 2 * GRANT_SECONDS
    arranged.refuse(STRANGER, 3)
    assert arranged.wait(STRANGER) > 0


def test_between_two_rotations_of_a_key_there_is_always_the_interval(arranged: Arranged) -> None:
    arranged.limits.granted(STRANGER, WANTED)
    arranged.limits.admit(STRANGER, WANTED, Limit.KEY_ROTATIONS, b"first")
    assert arranged.wait(STRANGER, Limit.KEY_ROTATIONS, b"second") == pytest.approx(10)
    arranged.clock.now += 10
    arranged.limits.admit(STRANGER, WANTED, Limit.KEY_ROTATIONS, b"second")
    assert arranged.wait(STRANGER, Limit.KEY_ROTATIONS, b"first") == pytest.approx(10)


def test_a_request_that_is_sent_again_does_not_wait(arranged: Arranged) -> None:
    for _ in range(3):
        arranged.limits.admit(STRANGER, WANTED, Limit.KEY_ROTATIONS, b"first")
    assert arranged.wait(STRANGER, Limit.KEY_ROTATIONS, b"second") == pytest.approx(10)


def test_a_limit_of_zero_is_none(arranged: Arranged) -> None:
    for _ in range(99):
        arranged.limits.admit(STRANGER, WANTED, Limit.REGISTRATIONS)


def test_failed_secret_keys_are_limited_by_source(arranged: Arranged) -> None:
    for _ in range(2):
        assert arranged.limits.may_look_up()
        arranged.limits.look_up_failed()
    assert not arranged.limits.may_look_up()
    arranged.source = "192.0.2.2"
    assert arranged.limits.may_look_up()


def test_the_workers_of_a_host_count_together(arranged: Arranged, tmp_path: Path) -> None:
    arranged.limits = arranged.worker(MomentTable(tmp_path / "limits"))
    arranged.refuse(STRANGER, 3)
    arranged.limits.granted(STRANGER, OWN)
    arranged.limits = arranged.worker(MomentTable(tmp_path / "limits"))
    assert arranged.wait(STRANGER) > 0
    arranged.limits.admit(STRANGER, OWN)


def test_of_threads_and_processes_at_once_none_is_uncounted(tmp_path: Path) -> None:
    def count(times: int) -> None:
        table = MomentTable(tmp_path / "limits")
        for _ in range(times):
            with table.locked():
                table.write("key", table.read("key")[0] + 1)

    child = os.fork()
    if child == 0:
        count(500)
        os._exit(0)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(count, [500, 500]))
    os.waitpid(child, 0)
    assert MomentTable(tmp_path / "limits").read("key")[0] == 1_500


def test_a_process_that_is_stopped_with_the_lock_stops_no_other(tmp_path: Path) -> None:
    table = MomentTable(tmp_path / "limits")
    pipe, sentence = os.pipe()
    child = os.fork()
    if child == 0:
        with MomentTable(tmp_path / "limits").locked():
            os.write(sentence, b".")
            signal.pause()
    os.read(pipe, 1)
    try:
        with table.locked():
            table.write("key", 1.0)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert table.read("key")[0] == 1.0


def test_on_a_full_disk_each_process_has_a_table_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    table = MomentTable(tmp_path / "limits")
    with table.locked():
        table.write("key", 1.0)
    assert table.read("key")[0] == 1.0


def test_a_full_table_forgets_the_earliest_moments() -> None:
    table = MomentTable(sets=16)
    keys = 2 * 16 * PLACES
    for number in range(keys):
        table.write(f"key {number}", float(number + 1))
    kept = [number for number in range(keys) if table.read(f"key {number}")[0]]
    assert len(kept) <= 16 * PLACES and kept[-1] == keys - 1
    assert sum(kept) / len(kept) > 0.7 * keys


@pytest.mark.parametrize(
    ("peer", "forwarded", "source"),
    [
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "", "10.0.0.1"),
    ],
    ids=["no proxy of ours", "behind two proxies", "a proxy that names nobody"],
)
def test_the_source_of_a_request(peer: str, forwarded: str, source: str) -> None:
    sources = Sources(0, [ip_network("10.0.0.0/8")])
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}
    request_context.begin(environ)
    try:
        assert request_source(sources) == source
    finally:
        request_context.end()
    assert request_source(sources) == ""
