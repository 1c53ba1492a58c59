"""The run of every gated operation: calls of ports, refusals for faults, and headers.

``test_perform_records.py`` has audit rows, limits and ended credentials.
"""

from __future__ import annotations

from dataclasses import fields, replace
from types import NoneType
from typing import Any, get_args, get_type_hints

import pytest

from composer.audit import AuditRow
from composer.errors import (
    AuthzUnavailable,
    ComposerError,
    DatastoreUnavailable,
    NodeNotFound,
)
from composer.identity import AddressedNode
from handlers import OPERATIONS
from handlers.answers import NO_CONTENT, Answer, Call
from handlers.operation import (
    OpenOperation,
    Operation,
    Request,
    answer,
    is_provisioned,
    perform,
)
from handlers.ports import LedgerPorts, OptionalPort, OptionalPorts, Ports
from handlers.refusals import (
    AUTHZ_UNAVAILABLE,
    DATASTORE_UNAVAILABLE,
    INSUFFICIENT_RELATION,
    INTERNAL,
    INVALID_BODY,
    NODE_NOT_FOUND,
    NODES_NOT_PROVISIONED,
    UNAUTHORIZED,
    RefusalKind,
    Refused,
)
from handlers.ways import AS_AGENT, NODE_ADDRESS
from tests.factories import (
    CORRELATION,
    DOMAIN,
    addressed,
    agent_of,
    call,
    node_id,
    snapshot,
)
from tests.fakes import (
    FakeAuditSink,
    FakeLastAnswers,
    FakeNodeRepo,
    FakeRelationChecker,
    FakeRequestLimits,
    FakeSnapshotProvider,
)
from tests.ports.in_process import FakeService
from tests.ports.wired import fake_ports

NODE = node_id(1)
RESOURCE = f"node:{NODE}"
TRIPLE = (RESOURCE, "node-agent", RESOURCE)
GATED = {
    name: operation for name, operation in OPERATIONS.items() if isinstance(operation, Operation)
}
# The caller of an enrolment stands in its body, and its issuer has the relation: test_enrolment.py.
BY_HEADER = {
    name: operation for name, operation in GATED.items() if not operation.way.caller_in_body
}


def no_content(request: Request, node: AddressedNode) -> Answer:
    return NO_CONTENT


def operation(handler: Any = no_content, **changes: Any) -> Operation:
    values: dict[str, Any] = {
        "handler": handler,
        "way": AS_AGENT,
        "audit_name": "thing.write",
        "audit_name_of_repeat": "thing.write_again",
        "not_provisioned": NODES_NOT_PROVISIONED,
    }
    return Operation(**values | changes)


def sound_ports(**ports: Any) -> LedgerPorts:
    """The first Node, its agent and its snapshot."""
    return fake_ports(
        **{
            "relations": FakeRelationChecker({TRIPLE}),
            "nodes": FakeNodeRepo({NODE: addressed(1)}),
            "snapshots": FakeSnapshotProvider({(NODE, DOMAIN): snapshot()}),
        }
        | ports
    )


def untouchable_ports(**ports: Any) -> LedgerPorts:
    """A call of any port but for ``ports`` raises an AttributeError."""
    untouchable = dict.fromkeys((field.name for field in fields(LedgerPorts)), object())
    return LedgerPorts(**untouchable | {"last_answers": FakeLastAnswers()} | ports)


def run(tested: Operation, ports: LedgerPorts, asked: Call | None = None) -> Answer:
    return perform(tested, ports, asked or call(agent_of(1)), {"id": str(NODE)})


def refusal(tested: Operation, ports: LedgerPorts, asked: Call | None = None) -> Refused:
    with pytest.raises(Refused) as caught:
        run(tested, ports, asked)
    return caught.value


def address_of(name: str, node: str = str(NODE), domain: str = str(DOMAIN)) -> dict[str, str]:
    address = GATED[name].way.address
    return (
        {} if address is None else {address.parameter: node if address is NODE_ADDRESS else domain}
    )


def unprovisioned(ledger: LedgerPorts) -> set[str]:
    return {name for name in OPERATIONS if not is_provisioned(OPERATIONS[name], ledger)}


def row(relation: str, outcome: str = "granted", who: int = 1, **changes: Any) -> AuditRow:
    return AuditRow(relation, outcome, f"node:{node_id(who)}", RESOURCE, CORRELATION, **changes)


# Gate 0


@pytest.mark.parametrize("name", sorted(GATED))
def test_without_a_ledger_an_operation_has_its_own_501_for_nobody_too(name: str) -> None:
    asked = OPERATIONS[name]
    assert not isinstance(asked, OpenOperation)
    with pytest.raises(Refused) as caught:
        answer(asked, Ports(service=None, ledger=None), call(), {})  # type: ignore[arg-type]
    assert (caught.value.kind, asked.not_provisioned.status) == (asked.not_provisioned, 501)


def test_without_a_signing_key_only_what_signs_is_not_provisioned() -> None:
    assert unprovisioned(fake_ports(mint=None)) == {"RegisterNode", "RenewNodeToken"}
    assert unprovisioned(fake_ports()) == set()


def test_without_an_event_bus_only_the_events_are_not_provisioned() -> None:
    assert unprovisioned(fake_ports(events=None)) == {"GetNodeEvents"}


def test_without_event_keys_only_enrolment_is_not_provisioned() -> None:
    assert unprovisioned(fake_ports(event_keys=None)) == {"PostRegister"}


def test_no_port_on_the_ledger_may_be_absent_but_those_that_an_operation_declares() -> None:
    types = get_type_hints(LedgerPorts)
    assert [name for name, kind in types.items() if NoneType in get_args(kind)] == []
    assert {port.value for port in OptionalPort} == get_type_hints(OptionalPorts).keys()


def test_an_operation_without_gates_asks_for_no_ledger() -> None:
    assert is_provisioned(OPERATIONS["GetLivez"], None)
    assert FakeService(provisioned=False).ask("/livez").status_code == 200


# What a refusal costs


@pytest.mark.parametrize("name", BY_HEADER)
def test_nobody_is_refused_before_any_port_is_asked(name: str) -> None:
    with pytest.raises(Refused) as caught:
        perform(GATED[name], untouchable_ports(), call(None), {})
    assert caught.value.kind is UNAUTHORIZED


@pytest.mark.parametrize("name", [name for name in GATED if address_of(name)])
def test_a_misspelt_id_is_refused_before_any_port_is_asked(name: str) -> None:
    misspelt = address_of(name, str(NODE).upper(), str(DOMAIN).upper())
    with pytest.raises(Refused) as caught:
        perform(GATED[name], untouchable_ports(), call(agent_of(1)), misspelt)
    address = GATED[name].way.address
    assert address is not None and caught.value.kind is address.invalid


def test_parsing_is_done_before_any_port_is_asked() -> None:
    def parse(node_id: object) -> None:
        raise Refused(INVALID_BODY, "odd")

    assert refusal(operation(parse=parse), untouchable_ports()).kind is INVALID_BODY


@pytest.mark.parametrize("name", BY_HEADER)
def test_a_stranger_costs_nothing_but_the_question_of_the_relation(name: str) -> None:
    audit = FakeAuditSink()
    ports = untouchable_ports(
        relations=FakeRelationChecker(), audit=audit, limits=FakeRequestLimits()
    )
    with pytest.raises(Refused) as caught:
        perform(
            replace(GATED[name], parse=None, repeat_by=None),
            ports,
            call(agent_of(2)),
            address_of(name),
        )
    assert caught.value.kind is INSUFFICIENT_RELATION
    assert [kept.outcome for kept in audit.rows] == ["insufficient_relation"]


def test_a_refused_relation_says_inside_who_lacks_what() -> None:
    refused = refusal(operation(), sound_ports(), call(agent_of(2)))
    assert refused.inside == f"node:{node_id(2)} lacks node-agent on {RESOURCE}"


# What the body gets


def test_the_body_gets_what_the_gates_found_and_the_parameters_that_are_left() -> None:
    found: list[object] = []

    def handler(request: Request, node: AddressedNode, **parameters: object) -> Answer:
        found.extend([request.principal, node, parameters])
        return NO_CONTENT

    values = {"id": str(NODE), "limit": 7}
    perform(operation(handler), sound_ports(), call(agent_of(1)), values)
    assert found == [agent_of(1), addressed(1), {"limit": 7}]
    assert values == {"id": str(NODE), "limit": 7}


def test_the_parsed_value_takes_the_place_of_the_parameters() -> None:
    found: list[object] = []

    def handler(request: Request, node: AddressedNode, **parameters: object) -> Answer:
        found.append(parameters)
        return NO_CONTENT

    asked = operation(handler, parse=lambda node_id, limit: (node_id, limit))
    perform(asked, sound_ports(), call(agent_of(1)), {"id": str(NODE), "limit": 7})
    assert found == [{"parsed": (NODE, 7)}]


# Faults


def raises(error: Exception) -> Any:
    def handler(*values: object, **parameters: object) -> Answer:
        raise error

    return handler


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NodeNotFound("gone"), NODE_NOT_FOUND),
        (DatastoreUnavailable("away"), DATASTORE_UNAVAILABLE),
        (AuthzUnavailable("away"), AUTHZ_UNAVAILABLE),
        (ComposerError("odd"), INTERNAL),
    ],
)
@pytest.mark.parametrize("place", ["gates", "body"])
def test_a_composer_error_becomes_its_refusal_without_an_audit_row(
    place: str, error: Exception, kind: RefusalKind
) -> None:
    audit = FakeAuditSink()
    broken = sound_ports(audit=audit)
    if place == "gates":
        broken = replace(broken, nodes=FakeNodeRepo(fails=error))
    refused = refusal(operation(raises(error) if place == "body" else no_content), broken)
    assert (refused.kind, refused.__cause__, audit.rows) == (kind, error, [])


def test_an_error_of_an_operation_without_gates_becomes_its_refusal() -> None:
    service: Any = None
    with pytest.raises(Refused) as caught:
        answer(OpenOperation(handler=raises(ComposerError("odd"))), Ports(service), call(), {})
    assert caught.value.kind is INTERNAL


@pytest.mark.parametrize("place", ["gates", "body"])
def test_a_defect_passes_through_as_it_is(place: str) -> None:
    defect = KeyError("a defect")
    broken = sound_ports()
    if place == "gates":
        broken = replace(broken, nodes=FakeNodeRepo(fails=defect))
    with pytest.raises(KeyError) as caught:
        run(operation(raises(defect) if place == "body" else no_content), broken)
    assert caught.value is defect


# Headers


def test_an_operations_headers_are_sent_with_those_of_its_body() -> None:
    def handler(*values: object) -> Answer:
        return Answer(200, {}, headers={"ETag": '"1"', "Vary": "Accept"})

    constant = {"Cache-Control": "no-store", "Vary": "Authorization"}
    expected = {"Cache-Control": "no-store", "ETag": '"1"', "Vary": "Accept"}
    service: Any = None
    assert run(operation(handler, headers=constant), sound_ports()).headers == expected
    opened = OpenOperation(handler=handler, headers=constant)
    assert answer(opened, Ports(service), call(), {}).headers == expected
