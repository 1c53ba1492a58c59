"""The run of every gated operation: audit rows, limits and credentials that the row ends."""

from __future__ import annotations

import base64
import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from composer.audit import AuditRow
from composer.errors import (
    NodeNotFound,
    RateLimited,
)
from composer.identity import AddressedDomain, AddressedNode, Credential, node_object
from composer.limits import Limit
from handlers.answers import NO_CONTENT, Answer
from handlers.operation import (
    AuditedGrants,
    Request,
    perform,
)
from handlers.refusals import (
    DATASTORE_UNAVAILABLE,
    INSUFFICIENT_RELATION,
    RATE_LIMITED,
    UNAUTHORIZED,
    Refused,
)
from tests.credential_fakes import FakeEventKeys
from tests.domain_fakes import FakeDomainRepo
from tests.factories import (
    CORRELATION,
    DOMAIN,
    EPOCH,
    agent_of,
    call,
    key_bytes,
)
from tests.fakes import (
    FakeAuditSink,
    FakeNodeRepo,
    FakeRelationChecker,
    FakeRequestLimits,
    FakeSnapshotProvider,
    record_write,
)
from tests.node_fakes import FakeHeartbeatSink
from tests.ports.wired import fake_ports
from tests.registry_fakes import FakeNodeRegistry
from tests.unit.test_perform import (
    GATED,
    NODE,
    RESOURCE,
    address_of,
    no_content,
    operation,
    refusal,
    row,
    run,
    sound_ports,
)


def write(*, repeated: bool = False) -> Any:
    """A handler whose port writes the row, as the ledger does."""

    def handler(request: Request, node: AddressedNode) -> Answer:
        audit: Any = request.ports.audit
        record_write(audit, request.write, RESOURCE, repeated=repeated)
        return NO_CONTENT

    return handler


@pytest.mark.parametrize(
    ("audited_grants", "handler", "expected"),
    [
        (AuditedGrants.ALL, no_content, [row("thing.write")]),
        (AuditedGrants.WRITES, no_content, []),
        (AuditedGrants.WRITES, write(), [row("thing.write")]),
        (AuditedGrants.WRITES, write(repeated=True), [row("thing.write_again")]),
        (AuditedGrants.NONE, no_content, []),
    ],
    ids=["answer", "no write", "write", "repeated write", "refusals alone"],
)
def test_a_grant_leaves_the_rows_that_the_operation_declares(
    audited_grants: AuditedGrants, handler: Any, expected: list[AuditRow]
) -> None:
    audit = FakeAuditSink()
    run(operation(handler, audited_grants=audited_grants), sound_ports(audit=audit))
    assert audit.rows == expected


@pytest.mark.parametrize("audited_grants", AuditedGrants)
def test_a_refused_relation_leaves_a_row_whatever_is_recorded(
    audited_grants: AuditedGrants,
) -> None:
    audit = FakeAuditSink()
    refusal(operation(audited_grants=audited_grants), sound_ports(audit=audit), call(agent_of(2)))
    assert audit.rows == [row("thing.write", "insufficient_relation", who=2)]


def test_a_node_that_goes_while_it_is_registered_is_a_503_and_on_record() -> None:
    audit = FakeAuditSink()
    triple = (RESOURCE, "domain-edit", f"domain:{DOMAIN}")
    registry = FakeNodeRegistry({DOMAIN: "10.42.0.0/16"}, audit=audit)
    ports = fake_ports(
        relations=FakeRelationChecker({triple}),
        domains=FakeDomainRepo({DOMAIN: AddressedDomain(DOMAIN, None)}),
        node_registry=registry,
        event_keys=FakeEventKeys({DOMAIN}),
        snapshots=FakeSnapshotProvider(fails=NodeNotFound("gone again")),
        audit=audit,
    )
    body = {"public_key": "a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s="}
    values = {"domain_id": str(DOMAIN), "body": body}
    with pytest.raises(Refused) as caught:
        perform(GATED["RegisterNode"], ports, call(agent_of(1)), values)
    assert caught.value.kind is DATASTORE_UNAVAILABLE
    (made,) = registry.nodes
    registered = row("node.register")
    assert audit.rows == [replace(registered, object=node_object(made))]


# Limits


def test_a_limit_is_checked_before_gate_2_and_leaves_no_row() -> None:
    audit, relations = FakeAuditSink(), FakeRelationChecker()
    limits = FakeRequestLimits(fails=RateLimited("too often", 6.2))
    refused = refusal(operation(), sound_ports(audit=audit, relations=relations, limits=limits))
    assert (refused.kind, relations.calls, audit.rows) == (
        replace(RATE_LIMITED, retry_after=7),
        [],
        [],
    )


def test_a_request_tells_the_limits_of_its_operation_and_its_outcome() -> None:
    limits = FakeRequestLimits()
    rotation = operation(limit=Limit.KEY_ROTATIONS)
    run(rotation, sound_ports(limits=limits))
    refusal(rotation, sound_ports(limits=limits), call(agent_of(2)))
    first, second = agent_of(1).subject, agent_of(2).subject
    permission = f"node-agent on {RESOURCE}"
    assert limits.calls == [
        (subject, permission, Limit.KEY_ROTATIONS, None) for subject in (first, second)
    ]
    assert (limits.grants, limits.refusals) == ([(first, permission)], [second])


def test_a_rotation_to_the_same_key_is_the_same_request() -> None:
    limits = FakeRequestLimits(fails=RateLimited("too often", 6.2))
    key = key_bytes(7)
    body = {"public_key": base64.b64encode(key).decode()}
    with pytest.raises(Refused):
        perform(
            GATED["RotateNodeKey"],
            sound_ports(limits=limits),
            call(agent_of(1)),
            {**address_of("RotateNodeKey"), "body": body},
        )
    assert limits.calls[0][2:] == (Limit.KEY_ROTATIONS, key)


# Credentials of the Node that its row does not cover.
ENDED = {
    "key": Credential(secret_key_digest=b"2" * 32),
    "token": Credential(issued_at=EPOCH - timedelta(seconds=1)),
    "token without a time": Credential(),
}
OF_AGENTS = sorted(name for name, operation in GATED.items() if operation.way.takes_secret_key)


@pytest.mark.parametrize("name", OF_AGENTS)
@pytest.mark.parametrize("credential", ENDED.values(), ids=ENDED)
def test_a_credential_that_the_row_does_not_cover_is_the_401_of_gate_1_without_a_row(
    name: str, credential: Credential
) -> None:
    assert len(OF_AGENTS) > 6
    audit, covered = FakeAuditSink(), ((b"1" * 32,), EPOCH)
    heartbeats = FakeHeartbeatSink({NODE}, credentials={NODE: covered})
    subject = agent_of(1).subject
    ports = sound_ports(
        relations=FakeRelationChecker({(subject, GATED[name].way.relation, RESOURCE)}),
        nodes=FakeNodeRepo({NODE: AddressedNode(NODE, DOMAIN, None, *covered)}),
        heartbeats=heartbeats,
        audit=audit,
    )
    tested = replace(GATED[name], parse=lambda *_, **__: heartbeats.now, repeat_by=None)
    refused = refusal(tested, ports, call(replace(agent_of(1), credential=credential)))
    assert (refused.kind, audit.rows, heartbeats.accepted) == (UNAUTHORIZED, [], {})


@pytest.mark.parametrize("takes_body", [True, False], ids=["GET", "HEAD"])
def test_a_digest_is_recorded_where_the_caller_has_it_now(takes_body: bool) -> None:
    audit = FakeAuditSink()
    asked = replace(call(agent_of(1)), takes_body=takes_body)
    served = run(GATED["GetNodeState"], sound_ports(audit=audit), asked)
    digest = served.digest if takes_body else None
    assert served.digest is not None
    assert audit.rows == [row("node_state.pull", digest=digest)]


@pytest.mark.parametrize("who", [1, 2], ids=["granted", "refused"])
def test_a_sink_that_raises_changes_no_outcome_and_the_loss_is_logged(
    who: int, caplog: pytest.LogCaptureFixture
) -> None:
    broken = sound_ports(audit=FakeAuditSink(fails=RuntimeError("disk full")))
    asked = call(agent_of(who))
    with caplog.at_level(logging.ERROR):
        if who == 1:
            assert run(operation(), broken, asked) == NO_CONTENT
        else:
            assert refusal(operation(), broken, asked).kind is INSUFFICIENT_RELATION
    (record,) = caplog.records
    assert (record.message, record.__dict__["correlation_id"]) == ("audit_row_lost", CORRELATION)
