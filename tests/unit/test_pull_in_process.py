"""The reconciliation pull through the whole application, on fakes: status, headers and bytes."""

from __future__ import annotations

import json

import pytest

from composer.audit import NoAudit
from composer.errors import AuthzUnavailable, CorruptLedger, DatastoreUnavailable, NodeNotFound
from composer.reachability import ReachabilityRow
from composer.snapshot_composer import SnapshotComposer
from tests.factories import (
    ALLOW_HTTPS,
    DOMAIN,
    EPOCH,
    bridge_rows,
    entry,
    node_id,
    peer_row,
    rule_set,
)
from tests.fakes import FakeDropReporter, FakeLedger
from tests.ports.in_process import FakeService

CORRELATION = {"X-Correlation-Id": "same"}


@pytest.fixture
def service() -> FakeService:
    return FakeService()


def broken(port: str, error: Exception) -> FakeService:
    service = FakeService()
    getattr(service, port).fails = error
    return service


def test_an_agent_is_given_its_nodes_snapshot(service: FakeService) -> None:
    answer = service.pull(1)
    peers = [peer["node_id"] for peer in json.loads(answer.data)["peers"]]
    assert (answer.status_code, peers) == (200, [str(node_id(2)), str(node_id(3))])


def test_a_200_carries_the_headers_of_the_contract_and_no_others(service: FakeService) -> None:
    assert sorted(service.pull().headers.keys()) == [
        "Cache-Control",
        "Content-Length",
        "Content-Type",
        "ETag",
        "Vary",
        "X-Correlation-Id",
    ]


def test_the_media_type_of_a_200_has_no_parameters(service: FakeService) -> None:
    assert service.pull().headers["Content-Type"] == "application/json"


def test_two_pulls_are_equal_byte_for_byte(service: FakeService) -> None:
    assert service.pull(headers=CORRELATION).data == service.pull(headers=CORRELATION).data


def test_two_pulls_of_two_processes_are_equal_byte_for_byte(service: FakeService) -> None:
    first, other = service.pull(headers=CORRELATION), FakeService().pull(headers=CORRELATION)
    assert (first.data, dict(first.headers)) == (other.data, dict(other.headers))


def test_two_nodes_of_a_domain_have_bodies_of_their_own(service: FakeService) -> None:
    shown = [
        [peer["mesh_ip"][-1] for peer in json.loads(service.pull(n, who=n).data)["peers"]]
        for n in (1, 2, 3)
    ]
    assert shown == [["2", "3"], ["1", "3"], ["1", "2"]]


def test_a_full_snapshot_leaves_the_service() -> None:
    ledger = FakeLedger.of(
        DOMAIN,
        [peer_row(1), peer_row(2, relay_host="fd00::1", relay_port=51821)],
        reach=ReachabilityRow("", None, EPOCH),
        rule_sets=(rule_set(1, ALLOW_HTTPS),),
        bridge_rows=bridge_rows(),
        entry_rows=(entry("data", "site", "Zürich"), entry("report", "disk", "ok", "agent")),
    )
    service = FakeService(snapshots=SnapshotComposer(ledger, FakeDropReporter()))
    body = json.loads(service.pull().data)
    assert (list(body), body["state"] == body["reports"], len(body["bridge"])) == (
        ["peers", "reachability", "policy", "bridge", "state", "reports"],
        True,
        4,
    )


FAULTS = [
    ("relations", AuthzUnavailable("hunter2")),
    ("nodes", DatastoreUnavailable("hunter2")),
    ("nodes", KeyError("hunter2")),
    ("ledger", DatastoreUnavailable("hunter2")),
    ("ledger", NodeNotFound("hunter2")),
    ("ledger", CorruptLedger("hunter2")),
    ("ledger", RecursionError("hunter2")),
    ("relations", MemoryError("hunter2")),
]


@pytest.mark.parametrize(("port", "error"), FAULTS)
def test_what_a_port_said_never_leaves(port: str, error: Exception) -> None:
    answer = broken(port, error).pull()
    assert b"hunter2" not in answer.data + str(answer.headers).encode()


def test_the_next_pull_after_a_fault_is_whole_again(service: FakeService) -> None:
    before = service.pull().data
    service.ledger.fails = DatastoreUnavailable("away")
    service.pull()
    service.ledger.fails = None
    assert service.pull().data == before


def test_without_a_sink_the_pull_is_no_501() -> None:
    assert FakeService(audit=NoAudit()).pull().status_code == 200


def test_who_shows_the_etag_gets_a_304_without_a_body(service: FakeService) -> None:
    tag = service.pull().headers["ETag"]
    answer = service.pull(headers={"If-None-Match": tag})
    assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", tag)


def test_a_304_has_no_media_type(service: FakeService) -> None:
    answer = service.pull(headers={"If-None-Match": "*"})
    assert (answer.status_code, "Content-Type" in answer.headers) == (304, False)


@pytest.mark.parametrize("form", ["{}", '"other", {}', "{},{}", "*", 'W/"x" , {}'])
def test_a_list_that_names_the_etag_gets_a_304(service: FakeService, form: str) -> None:
    tag = service.pull().headers["ETag"]
    answer = service.pull(headers={"If-None-Match": form.replace("{}", tag)})
    assert answer.status_code == 304


def test_the_etag_is_compared_weakly(service: FakeService) -> None:
    strong = service.pull().headers["ETag"].removeprefix("W/")
    assert service.pull(headers={"If-None-Match": strong}).status_code == 304


@pytest.mark.parametrize(
    "text", ["", "x", '"', 'W/"', "W/*", '"x', ",", 'W/"' + "0" * 64 + '"', "\xff"]
)
def test_a_tag_that_names_nothing_is_never_refused(service: FakeService, text: str) -> None:
    assert service.pull(headers={"If-None-Match": text}).status_code == 200


@pytest.mark.parametrize(
    ("who", "number", "status"), [(None, 1, 401), (1, 2, 403), (1, 77, 403)], ids=str
)
def test_if_none_match_passes_no_gate(
    service: FakeService, who: int | None, number: int, status: int
) -> None:
    answer = service.pull(number, who=who, headers={"If-None-Match": "*"})
    assert answer.status_code == status


def test_a_heartbeat_moves_the_body_and_not_the_etag(service: FakeService) -> None:
    before = service.pull()
    row = ReachabilityRow("healthy", EPOCH.replace(hour=9), EPOCH)
    service.ledger.shown = FakeLedger.of(DOMAIN, service.ledger.shown.table.rows, reach=row).shown
    after = service.pull()
    assert before.data != after.data
    assert before.headers["ETag"] == after.headers["ETag"]


def test_the_audited_digest_is_the_etag(service: FakeService) -> None:
    tag = service.pull().headers["ETag"]
    assert [f'W/"{row.digest}"' for row in service.audit.rows] == [tag]


def test_a_head_is_a_get_without_a_body(service: FakeService) -> None:
    get, head = (service.pull(method=method, headers=CORRELATION) for method in ("GET", "HEAD"))
    assert (head.data, dict(head.headers)) == (b"", dict(get.headers))
