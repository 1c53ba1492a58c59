"""Each operation once over sockets, Postgres and SpiceDB: who may, a stranger, nobody; audit rows.

The requests are derived from OPERATIONS and the contract (tests/good_requests.py), so that an
operation is asked on the day it is declared. Every other caller, world and variant is in
tests/golden/operations. The privileged request stands in every test, so nothing passes in
emptiness.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from server.dev.stack import Stack
from tests.client import Reply, ask, bearer, pull_path
from tests.contract.tables import AUDIT, AUTHN, AUTHZ, GRANTED
from tests.good_requests import (
    DECLARED,
    Object,
    audited_as,
    caller_of,
    existing,
    missing,
    permitted,
    send,
)
from tests.ledger_sql import audit_rows

GATED = [name for name, relation in AUTHZ.items() if relation is not None]
SECURED = [name for name, operation in DECLARED.items() if operation.secured]
STRANGER = "user:stranger"


@pytest.fixture(scope="module")
def url(stack: Stack) -> Iterator[str]:
    """One worker, whose one queue of audit rows is written in order: a later row that is there
    says that no earlier one is still to come. It has NATS, for the event streams."""
    stack.start_nats()
    part = stack.extra_gunicorn("one-worker", {}, "/readyz")
    yield part.url
    part.stop()
    stack.stop_nats()


def marked(headers: dict[str, str], mark: str) -> dict[str, str]:
    return headers | {"X-Correlation-Id": mark}


def rows_of(stack: Stack, url: str, mark: str) -> list[tuple[str, ...]]:
    """All rows that answered requests with this mark left: relation, outcome, subject, object."""
    after = f"after-{uuid4().hex}"
    assert ask(url, pull_path(stack.node_id), marked(stack.headers, after)).status == 200
    assert len(audit_rows(stack.dsn, after)) == 1
    return [row[:4] for row in audit_rows(stack.dsn, mark, expected=0)]


def assert_granted(stack: Stack, url: str, name: str, there: Object, mark: str = "after") -> Reply:
    """The privileged request. It comes last: it may take its object away."""
    reply = send(url, name, there, marked(permitted(stack, name, there), mark))
    assert reply.status == GRANTED[name], reply.body
    return reply


def others(stack: Stack, there: Object) -> list[str]:
    """Known Principals without the relation, another Node of the same Domain among them."""
    nodes = (f"node:{stack.sample.node_id(number)}" for number in (1, 3))
    return [STRANGER, next(node for node in nodes if node != f"node:{there.get('id')}")]


@pytest.mark.parametrize("name", DECLARED)
def test_who_may_is_granted_and_leaves_the_declared_row_and_no_other(
    stack: Stack, url: str, name: str
) -> None:
    mark, there = f"granted-{uuid4().hex}", existing(stack, name)
    reply = assert_granted(stack, url, name, there, mark)
    expected = []
    if "granted" in AUDIT[name]:
        relation, object = audited_as(name, there, reply)
        expected = [(relation, "granted", caller_of(name, there), object)]
    assert rows_of(stack, url, mark) == expected


@pytest.mark.parametrize("name", GATED)
def test_a_stranger_cannot_tell_a_real_object_from_an_unreal_one_and_leaves_a_row(
    stack: Stack, url: str, name: str
) -> None:
    mark, there = f"stranger-{uuid4().hex}", existing(stack, name)
    objects = [there, *(parameters for parameters, _ in missing(name, there))]
    assert len(objects) >= 2 or "{" not in DECLARED[name].path
    replies, expected = [], []
    for parameters in objects:
        for subject in others(stack, there):
            credential = bearer(stack.token(subject))
            replies.append(send(url, name, parameters, marked(credential, mark)))
            relation, object = audited_as(name, parameters)
            expected.append((relation, "insufficient_relation", subject, object))
    assert {reply.status for reply in replies} == {403}
    assert all(reply.alike() == replies[0].alike() for reply in replies)
    assert sorted(rows_of(stack, url, mark)) == sorted(expected)
    for parameters, status in missing(name, there):
        assert send(url, name, parameters, permitted(stack, name, there)).status == status
    assert_granted(stack, url, name, there)


@pytest.mark.parametrize("name", SECURED)
def test_nobody_learns_anything_about_any_object_and_leaves_no_row(
    stack: Stack, url: str, name: str
) -> None:
    mark, there = f"nobody-{uuid4().hex}", existing(stack, name)
    objects = [there, *(parameters for parameters, _ in missing(name, there))]
    replies = [
        send(url, name, parameters, marked(credential, mark))
        for parameters in objects
        for credential in ({}, bearer(stack.token(exp=1_000_000_000)))
    ]
    assert {reply.status for reply in replies} == {AUTHN[name]}
    assert all(reply.alike() == replies[0].alike() for reply in replies)
    assert rows_of(stack, url, mark) == []
    assert_granted(stack, url, name, there)
