"""COPY as the sample and the fleets use it: any text arrives as it was, all tables or none."""

from uuid import UUID, uuid4

import pytest

from composer.errors import ComposerError, DatastoreUnavailable
from db.bulk import ROWS_PER_CHUNK, TableRows, copy_rows, forget_authz_tokens, node_ids
from tests.ledger_sql import run_sql

pytest_plugins = ("tests.integration.ledger_fixtures",)

ENTRY = ("node_id", "kind", "key", "value", "workload_tag")


def domain_of(count: int) -> tuple[list[UUID], list[TableRows]]:
    domain = uuid4()
    ids = sorted(uuid4() for _ in range(count))
    return ids, [
        TableRows("domains", ("id",), [(domain,)]),
        TableRows("nodes", ("id", "domain_id"), [(node_id, domain) for node_id in ids]),
    ]


@pytest.mark.parametrize(
    "text",
    ["", "\\N", "\\.", "a\tb", "a\nb\r\n", "\\", "\\n", "Grüße 🜁", "'; --", '{"a":"\\u0041"}'],
)
def test_text_arrives_unchanged(ledger_dsn: str, text: str) -> None:
    (node,), tables = domain_of(1)
    rows = [(node, "data", "key", text, None), (node, "report", "key", text, text)]
    assert copy_rows(ledger_dsn, [*tables, TableRows("node_state_entries", ENTRY, rows)]) == 4
    found = run_sql(
        ledger_dsn,
        f"SELECT value, workload_tag FROM plexsphere.node_state_entries "
        f"WHERE node_id = '{node}' ORDER BY kind",
    )
    assert found == [(text, None), (text, text)]


def test_bytes_arrive_unchanged(ledger_dsn: str) -> None:
    (node,), (domain, _) = domain_of(1)
    key = bytes(range(256))
    nodes = TableRows(
        "nodes", ("id", "domain_id", "public_key"), [(node, next(iter(domain.rows))[0], key)]
    )
    copy_rows(ledger_dsn, [domain, nodes])
    found = run_sql(ledger_dsn, f"SELECT public_key FROM plexsphere.nodes WHERE id = '{node}'")
    assert bytes(found[0][0]) == key


def test_progress_is_reported_in_chunks_that_add_up(ledger_dsn: str) -> None:
    _, tables = domain_of(ROWS_PER_CHUNK * 2 + 1)
    amounts: list[int] = []
    total = copy_rows(ledger_dsn, tables, amounts.append)
    assert total == sum(amounts) == ROWS_PER_CHUNK * 2 + 2
    assert max(amounts) == ROWS_PER_CHUNK


def test_a_refused_row_leaves_every_table_empty(ledger_dsn: str) -> None:
    before = node_ids(ledger_dsn)
    (node,), tables = domain_of(1)
    bad = TableRows("node_state_entries", ENTRY, [(node, "no kind", "key", "value", None)])
    with pytest.raises(ComposerError):
        copy_rows(ledger_dsn, [*tables, bad])
    assert node_ids(ledger_dsn) == before


def test_names_are_quoted_and_not_trusted(ledger_dsn: str) -> None:
    with pytest.raises(ComposerError):
        copy_rows(ledger_dsn, [TableRows('nodes"; --', ("id",), [])])


def test_node_ids_ascend_and_their_tokens_can_be_forgotten(ledger_dsn: str) -> None:
    ids, tables = domain_of(3)
    copy_rows(ledger_dsn, tables)
    found = node_ids(ledger_dsn)
    assert set(map(str, ids)) <= set(found)
    assert found == sorted(found)
    run_sql(ledger_dsn, f"UPDATE plexsphere.nodes SET authz_token = 't' WHERE id = '{ids[0]}'")
    forget_authz_tokens(ledger_dsn)
    left = run_sql(ledger_dsn, "SELECT id FROM plexsphere.nodes WHERE authz_token IS NOT NULL")
    assert left == []


def test_a_postgres_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(DatastoreUnavailable):
        node_ids("postgresql://nobody@127.0.0.1:1/none")
