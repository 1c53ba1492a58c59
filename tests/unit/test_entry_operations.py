"""The operations on a Node's entries: what is stored, and what the caller is told."""

from __future__ import annotations

import pytest

from composer.entries import DATA, KINDS, METADATA, REPORT, EntryRow
from composer.identity import AddressedDomain
from handlers import OPERATIONS
from handlers.answers import Answer
from handlers.operation import perform
from tests.domain_fakes import FakeDomainRepo
from tests.factories import DOMAIN, addressed, agent_of, call, node_id
from tests.fakes import FakeNodeRepo, FakeRelationChecker
from tests.node_fakes import FakeEntryStore
from tests.ports.wired import fake_ports

NODE = node_id(1)
PUT = {REPORT: "PutNodeStateReport", METADATA: "PutNodeMetadata", DATA: "PutNodeData"}


def put(kind: str, store: FakeEntryStore, **body: str) -> Answer:
    who = agent_of(1)
    ports = fake_ports(
        relations=FakeRelationChecker(
            {
                (who.subject, "node-agent", f"node:{NODE}"),
                (who.subject, "domain-edit", f"node:{NODE}"),
            }
        ),
        nodes=FakeNodeRepo({NODE: addressed(1)}),
        domains=FakeDomainRepo({DOMAIN: AddressedDomain(DOMAIN, None)}),
        entries=store,
    )
    values = {"id": str(NODE), "key": "a", "body": body}
    return perform(OPERATIONS[PUT[kind]], ports, call(who), values)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_put_is_told_with_its_key_and_moment(kind: str) -> None:
    store = FakeEntryStore({NODE: DOMAIN})
    answer = put(kind, store, value="1", workload_tag="agent")
    assert (answer.status, answer.body) == (
        200,
        {"accepted_at": "2026-11-23T07:00:00Z", "key": "a"},
    )
    assert store.rows == {(NODE, kind, "a"): EntryRow(kind, "a", "1", "agent")}


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_tag_is_none(kind: str) -> None:
    store = FakeEntryStore({NODE: DOMAIN})
    put(kind, store, value="", workload_tag="")
    assert store.rows == {(NODE, kind, "a"): EntryRow(kind, "a", "", None)}
