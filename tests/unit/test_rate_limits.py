"""The limits of a process: buckets by subject and source."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_network

import pytest

from composer.errors import RateLimited
from composer.limits import Limit
from server.gunicorn.sources import Sources
from server.http import request_context
from server.http.rate_limits import GRANT_SECONDS, ProcessLimits, Rate, request_source
from tests.fakes import FakeClock

STRANGER, OTHER = "user:stranger", "user:other"
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
        self.limits = ProcessLimits(RATES, lambda: self.source, self.counted.append, self.clock)

    def refuse(self, subject: str, times: int) -> None:
        for _ in range(times):
            self.limits.admit(subject)
            self.limits.refused(subject)

    def wait(self, subject: str, limit: Limit | None = None) -> float:
        with pytest.raises(RateLimited) as limited:
            self.limits.admit(subject, limit)
        return limited.value.retry_after


@pytest.fixture
def arranged() -> Arranged:
    return Arranged()


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
    arranged.limits.admit(OTHER)
    arranged.source = "192.0.2.2"
    arranged.limits.admit(STRANGER)


def test_a_subject_that_was_granted_lately_is_not_limited_for_its_refusals(
    arranged: Arranged,
) -> None:
    arranged.limits.granted(STRANGER)
    arranged.refuse(STRANGER, 9)
    arranged.clock.now += GRANT_SECONDS - 1
    arranged.refuse(STRANGER, 3)
    arranged.clock.now += 1
    assert arranged.wait(STRANGER) > 0


def test_an_operations_own_limit_holds_for_a_granted_subject_too(arranged: Arranged) -> None:
    arranged.limits.granted(STRANGER)
    arranged.limits.admit(STRANGER, Limit.KEY_ROTATIONS)
    assert arranged.wait(STRANGER, Limit.KEY_ROTATIONS) == pytest.approx(10)
    arranged.clock.now += 10
    arranged.limits.admit(STRANGER, Limit.KEY_ROTATIONS)


def test_a_limit_of_zero_is_none(arranged: Arranged) -> None:
    for _ in range(99):
        arranged.limits.admit(STRANGER, Limit.REGISTRATIONS)


def test_failed_secret_keys_are_limited_by_source(arranged: Arranged) -> None:
    for _ in range(2):
        assert arranged.limits.may_look_up()
        arranged.limits.look_up_failed()
    assert not arranged.limits.may_look_up()
    arranged.source = "192.0.2.2"
    assert arranged.limits.may_look_up()


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
