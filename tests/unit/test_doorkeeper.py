"""Nothing leaves unchecked: what breaches the contract is withheld, counted and logged."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import structlog
from flask import Response

from composer.identity import AddressedNode
from composer.snapshot_composer import SnapshotComposer
from handlers.answers import Answer, Call
from handlers.node_state import get_node_state
from handlers.operation import OpenOperation, Request
from handlers.refusals import INTERNAL, Refused
from handlers.service import ServicePorts
from handlers.wire import Block, SnapshotBody
from server.http import request_context
from server.http.doorkeeper import _outgoing
from server.http.reply import Reply, reply_of
from tests.factories import DOMAIN, entry, node_id, peer_row
from tests.fakes import FakeDropReporter, FakeLedger
from tests.ports.in_process import FakeService, gated_operation

ALIVE = {"status": "ok", "checks": []}
Lines = list[Mapping[str, Any]]


def answering(answer: Answer) -> OpenOperation:
    def body(ports: ServicePorts, call: Call) -> Answer:
        return answer

    return OpenOperation(handler=body)


def lively(answer: Answer) -> FakeService:
    """A service whose /livez answers so."""
    return FakeService(operations={"GetLivez": answering(answer)})


def spoiled(change: Callable[[Answer], Answer]) -> FakeService:
    """A service whose pull is changed on its way out."""

    def body(request: Request, node: AddressedNode) -> Answer:
        return change(get_node_state(request, node))

    operation = replace(gated_operation("GetNodeState"), handler=body)
    return FakeService(operations={"GetNodeState": operation})


BREACHES = {
    "missing key": Answer(200, {"status": "ok"}),
    "null array": Answer(200, {"status": "ok", "checks": None}),
    "extra key": Answer(200, ALIVE | {"pid": 7}),
    "wrong value": Answer(200, ALIVE | {"status": "hunter2"}),
    "extra status": Answer(202, ALIVE),
    "wrong media type": Answer(200, b"ok", media_type="text/plain"),
    "no media type": Answer(200, b"ok", media_type=None),
    "no body": Answer(200, None),
    "broken body": Answer(200, b"{"),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_leaves_as_a_500_problem(breach: str) -> None:
    answer = lively(BREACHES[breach]).ask("/livez")
    problem = json.loads(answer.data)
    assert (answer.status_code, answer.mimetype, problem["type"], "code" in problem) == (
        500,
        "application/problem+json",
        "https://plexsphere.com/errors/internal",
        False,
    )


@pytest.mark.parametrize("breach", BREACHES)
def test_a_withheld_answer_is_counted(breach: str) -> None:
    service = lively(BREACHES[breach])
    service.ask("/livez")
    text = service.ask("/metrics").get_data(as_text=True)
    counted = re.findall(r"^plexsphere_(?:contract_breaches|http_requests)_total\{.*", text, re.M)
    assert counted == [
        'plexsphere_http_requests_total{operation="GetLivez",status="500"} 1.0',
        'plexsphere_contract_breaches_total{operation="GetLivez"} 1.0',
    ]


def logged(service: FakeService, ask: Callable[[FakeService], Any], event: str) -> Lines:
    with structlog.testing.capture_logs() as lines:
        ask(service)
    return [line for line in lines if line["event"] == event]


def test_a_withheld_answer_is_logged_with_where_and_never_what() -> None:
    service = lively(BREACHES["wrong value"])
    lines = logged(
        service, lambda s: s.ask("/livez", headers={"X-Correlation-Id": "c"}), "contract_breach"
    )
    expected = {
        "log_level": "error",
        "operation": "GetLivez",
        "status": 200,
        "part": "body",
        "pointer": "/status",
        "correlation_id": "c",
    }
    assert [expected.items() <= line.items() for line in lines] == [True]


def test_the_log_line_of_a_breach_does_not_show_the_value() -> None:
    lines = logged(lively(BREACHES["wrong value"]), lambda s: s.ask("/livez"), "contract_breach")
    assert len(lines) == 1 and "hunter2" not in str(lines)


def raising(error: Exception) -> Callable[[Answer], Answer]:
    def change(answer: Answer) -> Answer:
        raise error

    return change


@pytest.mark.parametrize(
    ("change", "event"),
    [
        (lambda answer: replace(answer, body=b"{}"), "contract_breach"),
        (raising(ZeroDivisionError()), "request_failed"),
        (raising(Refused(INTERNAL, "two rows")), "request_refused"),
    ],
    ids=["withheld", "fault", "refused"],
)
def test_the_log_line_of_a_500_names_the_command_that_explains_it(
    change: Callable[[Answer], Answer], event: str
) -> None:
    (line,) = logged(spoiled(change), lambda service: service.pull(), event)
    assert line["explain"] == f"plexsphere-state snapshot {node_id(1)} --explain"


SPOILS: dict[str, Callable[[Answer], Answer]] = {
    "no etag": lambda answer: replace(answer, headers={**answer.headers, "ETag": ""}),
    "strong etag": lambda answer: replace(answer, headers={**answer.headers, "ETag": '"x"'}),
    "stored": lambda answer: replace(answer, headers={**answer.headers, "Cache-Control": "public"}),
    "no vary": lambda answer: replace(answer, headers={**answer.headers, "Vary": ""}),
    "other bytes": lambda answer: replace(answer, body=b'{"peers":[]}'),
    "a 304 with a body": lambda answer: replace(answer, status=304),
    "problem instead": lambda answer: Answer(404, {"type": "x"}, "application/problem+json"),
    "a block more": lambda answer: replace(answer, body=with_block(answer, Block("x", b"1"))),
    "a block null": lambda answer: replace(answer, body=nulled(answer, "state")),
    "a cut gone wrong": lambda answer: replace(answer, body=miscut(answer)),
}


def body_of(answer: Answer) -> SnapshotBody:
    assert isinstance(answer.body, SnapshotBody)
    return answer.body


def with_block(answer: Answer, block: Block) -> SnapshotBody:
    return replace(body_of(answer), blocks=(*body_of(answer).blocks, block))


def nulled(answer: Answer, name: str) -> SnapshotBody:
    blocks = (Block(name, b"null") if b.name == name else b for b in body_of(answer).blocks)
    return replace(body_of(answer), blocks=tuple(blocks))


def miscut(answer: Answer) -> SnapshotBody:
    peers, *others = body_of(answer).blocks
    assert peers.cut is not None
    cut = (peers.cut[0] + 1, peers.cut[1])
    return replace(body_of(answer), blocks=(replace(peers, cut=cut), *others))


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_spoiled_pull_never_leaves_even_when_the_service_is_warm(spoil: str) -> None:
    change: list[Callable[[Answer], Answer]] = [lambda answer: answer]
    service = spoiled(lambda answer: change[0](answer))
    warm = service.pull().status_code
    change[0] = SPOILS[spoil]
    assert (warm, service.pull().status_code) == (200, 500)


@pytest.mark.parametrize("way", ["without_flask", "app"])
def test_bytes_put_in_place_of_a_sound_snapshot_never_leave(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tampered(answer: Answer) -> Reply:
        return replace(reply_of(answer), body=b'{"peers":[]}')

    service = FakeService()
    if way == "app":
        service.app.without_flask = lambda environ: None
    monkeypatch.setattr(f"server.http.{way}.reply_of", tampered)
    assert service.pull().status_code == 500


def test_the_next_sound_pull_after_a_breach_leaves() -> None:
    change: list[Callable[[Answer], Answer]] = [SPOILS["a block null"]]
    service = spoiled(lambda answer: change[0](answer))
    withheld = service.pull().status_code
    change[0] = lambda answer: answer
    assert (withheld, service.pull().status_code) == (500, 200)


def test_a_ledger_that_holds_what_the_contract_forbids_is_a_500() -> None:
    ledger = FakeLedger.of(DOMAIN, [peer_row(1)], entry_rows=(entry("data", "k" * 129),))
    service = FakeService(snapshots=SnapshotComposer(ledger, FakeDropReporter()))
    assert service.pull().status_code == 500


def test_a_withheld_answer_carries_the_correlation_id_in_both_places() -> None:
    answer = lively(BREACHES["extra key"]).ask("/livez", headers={"X-Correlation-Id": "c"})
    assert (answer.headers["X-Correlation-Id"], json.loads(answer.data)["correlation_id"]) == (
        "c",
        "c",
    )


def test_of_a_header_sent_twice_both_values_are_looked_at() -> None:
    headers = [("Vary", "Accept-Encoding"), ("Vary", "*"), ("ETag", "x")]
    with FakeService().app.test_request_context("/livez"):
        outgoing = _outgoing("GetLivez", Reply(200, headers, b"{}"))
    assert outgoing.values("vary") == ("Accept-Encoding", "*")
    assert (outgoing.values("ETag"), outgoing.values("Allow")) == (("x",), ())


def test_a_withheld_answer_keeps_none_of_its_headers() -> None:
    answer = spoiled(SPOILS["a block null"]).pull()
    assert "ETag" not in answer.headers and answer.headers["Cache-Control"] == "no-store"


def large(size: int, limit: int) -> FakeService:
    ledger = FakeLedger.of(DOMAIN, [peer_row(1)], entry_rows=(entry("data", "k", "v" * size),))
    composer = SnapshotComposer(ledger, FakeDropReporter())
    return FakeService(snapshots=composer, large_body_bytes=limit)


@pytest.mark.parametrize(("size", "warned"), [(1000, 0), (6000, 1)])
def test_a_body_near_what_agents_take_is_served_and_warned_of(size: int, warned: int) -> None:
    service = large(size, 10_000)
    lines = logged(service, lambda s: s.pull(), "snapshot_large")
    text = service.ask("/metrics").get_data(as_text=True)
    assert (len(lines), f"plexsphere_large_snapshots_total {float(warned)}" in text) == (
        warned,
        True,
    )


# What breaks at the door, and the status that leaves then.
FAULTS = {
    "server.http.request_context.operation_id": 500,
    "server.http.request_context.correlation_id": 500,
    "server.http.request_context.snapshot_of": 500,
    "server.http.doorkeeper.ResponseValidator.breach": 500,
    "server.http.doorkeeper.forward_rows": 200,
    "server.http.request_context.answered": 200,
}


def at_the_door(service: FakeService, body: bytes = b'{"status":"ok","checks":[]}') -> Response:
    """An answer of /livez, handed to the doorkeeper and to nothing else."""
    (check_answer,) = service.app.after_request_funcs[None]
    with service.app.test_request_context("/livez"):
        request_context.set_operation("GetLivez")
        answer = check_answer(Response(body, mimetype="application/json"))
    assert isinstance(answer, Response)
    return answer


def assert_last_word(answer: Response) -> None:
    problem = json.loads(answer.data)
    values = (answer.status_code, answer.mimetype, answer.headers["X-Correlation-Id"])
    assert values == (500, "application/problem+json", problem["correlation_id"])
    assert b"hunter2" not in answer.data


@pytest.mark.parametrize("broken", FAULTS)
def test_whatever_breaks_at_the_door_it_does_not_raise(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = FakeService()
    monkeypatch.setattr(broken, raising)
    answer = at_the_door(service)
    assert answer.status_code == FAULTS[broken]
    if answer.status_code == 500:
        assert_last_word(answer)


@pytest.mark.parametrize("broken", ["reply_of_refusal", "_log"])
def test_a_breach_that_cannot_be_told_does_not_leave_all_the_same(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = FakeService()
    monkeypatch.setattr(f"server.http.doorkeeper.{broken}", raising)
    assert_last_word(at_the_door(service, b"{}"))


@pytest.mark.parametrize("broken", ["reply_of_refusal", "_log"])
@pytest.mark.parametrize("port", ["nodes", "nobody"])
def test_a_refusal_that_cannot_be_told_is_a_500_all_the_same(
    broken: str, port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = FakeService()
    service.nodes.fails = KeyError("hunter2") if port == "nodes" else None
    monkeypatch.setattr(f"server.http.errors.{broken}", raising)
    answer = service.pull(1, who=1 if port == "nodes" else None)
    assert answer.status_code == 500
    assert_last_word(answer)


def test_a_grant_is_not_on_record_when_its_answer_could_not_be_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = FakeService()
    monkeypatch.setattr("server.http.doorkeeper.ResponseValidator.breach", raising)
    assert (service.pull().status_code, service.audit.rows) == (500, [])


def raising(*args: object, **values: object) -> Any:
    raise RuntimeError("hunter2")


def test_a_large_body_is_still_whole() -> None:
    assert len(json.loads(large(6000, 10_000).pull().data)["state"]["data"][0]["value"]) == 6000
