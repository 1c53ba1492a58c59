"""The audit table over sockets: each outcome it lists leaves exactly its row, and no other does."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from server.dev.stack import Stack
from tests.attacks import OPERATIONS, permitted, send
from tests.client import Reply, ask, bearer, pull_path
from tests.contract.attacked import ATTACKED, NEVER_GRANTED, Object
from tests.contract.tables import AUDIT, AUTHZ
from tests.ledger_sql import audit_rows

STRANGER = "user:stranger"
GRANTED, REFUSED = "granted", "insufficient_relation"
READS = [name for name, outcomes in AUDIT.items() if outcomes and OPERATIONS[name].method == "GET"]


@pytest.fixture(scope="module")
def one_worker(stack: Stack) -> Iterator[str]:
    """Its one queue is written in order: a later row that is there says that no earlier one is
    still to come."""
    part = stack.extra_gunicorn("one-worker", {"PLEXSPHERE_WORKERS": "1"}, "/readyz")
    yield part.url
    part.stop()


def marked(headers: dict[str, str], mark: str) -> dict[str, str]:
    return headers | {"X-Correlation-Id": mark}


def rows_of(stack: Stack, url: str, mark: str) -> list[tuple[str, ...]]:
    """All rows that an answered request left: relation, outcome, subject, object."""
    after = f"after-{uuid4().hex}"
    assert ask(url, pull_path(stack.node_id), marked(stack.headers, after)).status == 200
    assert len(audit_rows(stack.dsn, after)) == 1
    return [row[:4] for row in audit_rows(stack.dsn, mark, expected=0)]


def expected_row(
    name: str, outcome: str, subject: str, there: Object, made: Reply | None = None
) -> list[tuple[str, ...]]:
    """As the tables say it; none where they say none."""
    row = ATTACKED[name]
    if outcome not in AUDIT[name]:
        return []
    assert row.audit_relation, f"{name}: no audit_relation in attacked.py"
    if made is not None and row.made_object:
        return [(row.audit_relation, outcome, subject, row.made_object.format_map(made.json))]
    return [(row.audit_relation, outcome, subject, row.audit_object.format_map(there))]


@pytest.mark.parametrize("name", AUDIT)
def test_a_grant_leaves_the_row_of_its_table_and_no_other(
    stack: Stack, one_worker: str, name: str
) -> None:
    mark, there = f"granted-{uuid4().hex}", ATTACKED[name].existing(stack)
    reply = send(stack, name, there, marked(permitted(stack, name, there), mark), one_worker)
    assert reply.status == ATTACKED[name].granted
    subject = ATTACKED[name].caller.format_map(there)
    assert rows_of(stack, one_worker, mark) == expected_row(name, GRANTED, subject, there, reply)


@pytest.mark.parametrize("name", AUDIT)
def test_a_stranger_leaves_the_row_of_its_table_and_no_other(
    stack: Stack, one_worker: str, name: str
) -> None:
    there = ATTACKED[name].existing(stack)
    objects = [there, *(parameters for parameters, _ in ATTACKED[name].missing(there))]
    for parameters in objects:
        mark = f"stranger-{uuid4().hex}"
        headers = marked(bearer(stack.token(STRANGER)), mark)
        reply = send(stack, name, parameters, headers, one_worker)
        assert (reply.status == 403) == (AUTHZ[name] is not None)
        expected = expected_row(name, REFUSED, STRANGER, parameters)
        assert rows_of(stack, one_worker, mark) == expected


@pytest.mark.parametrize("name", READS)
def test_head_leaves_the_rows_that_get_does(stack: Stack, one_worker: str, name: str) -> None:
    there = ATTACKED[name].existing(stack)
    caller = ATTACKED[name].caller.format_map(there)
    for subject, outcome in ((caller, GRANTED), (STRANGER, REFUSED)):
        mark = f"head-{uuid4().hex}"
        headers = marked(bearer(stack.token(subject)), mark)
        send(stack, name, there, headers, one_worker, method="HEAD")
        assert rows_of(stack, one_worker, mark) == expected_row(name, outcome, subject, there)


@pytest.mark.parametrize("name", AUDIT)
def test_nobody_leaves_no_row(stack: Stack, one_worker: str, name: str) -> None:
    mark, there = f"nobody-{uuid4().hex}", ATTACKED[name].existing(stack)
    send(stack, name, there, {"X-Correlation-Id": mark}, one_worker)
    assert rows_of(stack, one_worker, mark) == []


def test_every_outcome_of_the_table_is_asked_for_above() -> None:
    """And every operation with a relation puts its refusals on record."""
    for name, outcomes in AUDIT.items():
        assert set(outcomes) <= {GRANTED, REFUSED}, name
        assert (REFUSED in outcomes) == (AUTHZ[name] is not None), name
        assert GRANTED not in outcomes or name not in NEVER_GRANTED, name
    assert any(GRANTED in outcomes for outcomes in AUDIT.values())
