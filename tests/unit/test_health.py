"""Is every dependency there? Each is asked within its share of time; strangers read no cause."""

from __future__ import annotations

import pytest

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable, DatastoreUnavailable
from handlers.service import HealthCheck
from server.receipt import LOAD_BEARING, WiringReceipt
from server.telemetry.probes import Degraded, DependencyProbes, Down, Probe, clock_probe
from tests.fakes import FakeClock

WIRED = {"SnapshotProvider": "A", "RelationChecker": "B", "NodeRepo": "C", "AuditSink": "D"}


def checks(deadline_s: float = 3.0, **probes: Probe) -> list[HealthCheck]:
    return list(DependencyProbes(probes).checks(Deadline.after(deadline_s, FakeClock())))


def raising(error: Exception) -> Probe:
    def probe(deadline: Deadline) -> None:
        raise error

    return probe


def fine(deadline: Deadline) -> None:
    """Answers."""


@pytest.mark.parametrize(
    ("probe", "status", "detail"),
    [
        (fine, "ok", "answers"),
        (raising(Degraded("the schema is newer")), "degraded", "the schema is newer"),
        (raising(Down("not provisioned")), "down", "not provisioned"),
        (raising(DatastoreUnavailable("hunter2")), "down", "does not answer"),
        (raising(AuthzUnavailable("hunter2")), "down", "does not answer"),
        (raising(KeyError("hunter2")), "down", "does not answer"),
    ],
    ids=["ok", "degraded", "down", "postgres", "spicedb", "a bug"],
)
def test_a_probe_becomes_a_check(probe: Probe, status: str, detail: str) -> None:
    assert checks(postgres=probe) == [HealthCheck("postgres", status, detail)]


@pytest.mark.parametrize(
    ("ahead", "leeway", "unauthorized", "status"),
    [
        (30.0, 30.0, True, "ok"),
        (-30.1, 30.0, False, "degraded"),
        (30.1, 30.0, True, "down"),
        (0.9, 0.0, True, "ok"),
        (None, 30.0, True, "ok"),
    ],
    ids=["within", "off", "off and refused", "within the measure", "not known"],
)
def test_a_clock_is_down_only_where_it_is_off_and_pulls_are_refused(
    ahead: float | None, leeway: float, unauthorized: bool, status: str
) -> None:
    def skew(deadline: Deadline) -> float:
        if ahead is None:
            raise DatastoreUnavailable("away")
        return ahead

    (check,) = checks(clock=clock_probe(skew, leeway, lambda: unauthorized))
    assert check.status == status


def test_every_dependency_is_asked_although_one_is_down() -> None:
    found = checks(spicedb=fine, jwks=raising(KeyError()), postgres=raising(Down("x")))
    assert [(check.name, check.status) for check in found] == [
        ("jwks", "down"),
        ("postgres", "down"),
        ("spicedb", "ok"),
    ]


@pytest.mark.parametrize(("budget", "share"), [(3.0, 1.0), (0.25, 0.25), (0.0, 0.0)])
def test_a_probe_has_a_second_and_no_more_than_the_request(budget: float, share: float) -> None:
    values: list[float] = []
    checks(budget, postgres=lambda deadline: values.append(deadline.remaining()))
    assert values == [share]


def test_a_receipt_with_every_load_bearing_port_is_complete() -> None:
    assert WiringReceipt(WIRED, {}).complete is True


@pytest.mark.parametrize("port", LOAD_BEARING)
@pytest.mark.parametrize("adapter", [None, "", ...], ids=["none", "empty", "absent"])
def test_a_receipt_without_a_load_bearing_port_names_it(port: str, adapter: object) -> None:
    ports = {**WIRED, port: adapter}
    receipt = WiringReceipt({k: v for k, v in ports.items() if v is not ...}, {})  # type: ignore[misc]
    assert (receipt.complete, receipt.missing) == (False, (port,))


def test_a_receipt_without_an_audit_sink_is_complete() -> None:
    assert WiringReceipt({**WIRED, "AuditSink": None}, {}).complete is True


def test_a_receipt_names_every_missing_port() -> None:
    assert WiringReceipt({}, {}).missing == LOAD_BEARING


def test_a_receipt_is_printed_port_by_port_and_operation_by_operation() -> None:
    lines = WiringReceipt(WIRED | {"AuditSink": None}, {"GetNodeState": "live"}).lines()
    assert [line.split() for line in lines] == [
        ["wiring", "receipt:", "complete"],
        ["SnapshotProvider", "A"],
        ["RelationChecker", "B"],
        ["NodeRepo", "C"],
        ["AuditSink", "-"],
        ["GetNodeState", "live"],
    ]


def test_an_incomplete_receipt_says_so_first() -> None:
    first = WiringReceipt(WIRED | {"NodeRepo": None}, {}).lines()[0]
    assert first == "wiring receipt: incomplete: NodeRepo"
