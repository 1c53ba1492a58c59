"""The SQL files: every query can be read, says who sends it, and is sent by that module."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from db.statements import Prepared, Query, parse, queries, statement

ROOM = Path(__file__).resolve().parents[2] / "db"
QUERIES = queries()
STATEMENTS = [query for query in QUERIES.values() if not query.is_fragment]
PREPARED = [query for query in STATEMENTS if query.parameters]
INDEXES = re.compile(r"Index(es)?\b|[Nn]o index|No table is read|catalogues only")

ONE = """-- About the file.

-- name: one
-- prepare: id uuid, name text
-- prepare: ratio double precision
-- first: lock
-- db/one.py, One.read.
-- Index: ones_pkey.
SELECT
    -- include: columns
FROM ones AS o
WHERE o.id = %(id)s
    AND o.name LIKE '%%' || %(name)s
    AND o.ratio > %(ratio)s;

-- fragment: columns
-- Of a one o.
o.id,
o.name
"""


def ids(query: Query) -> str:
    return query.name


def test_a_block_has_a_name_a_comment_parameters_and_a_text() -> None:
    block, columns = parse("one.sql", ONE)
    assert (block.name, block.first, block.is_fragment) == ("one", "lock", False)
    assert block.header == "db/one.py, One.read.\nIndex: ones_pkey."
    assert block.parameters == {"id": "uuid", "name": "text", "ratio": "double precision"}
    assert block.body.startswith("SELECT\n    -- include: columns\nFROM ones")
    assert (columns.name, columns.is_fragment, columns.body) == ("columns", True, "o.id,\no.name\n")


def test_an_included_fragment_is_indented_as_the_line_that_includes_it() -> None:
    text = statement("reachability_of_node")
    assert "SELECT\n    json_build_array(\n        n.reachability_state,\n" in text


def test_a_prepared_statement_numbers_the_parameters_that_its_execution_names() -> None:
    prepared = Prepared("domain_nodes")
    assert prepared.prepare.startswith("PREPARE domain_nodes (uuid[], uuid, integer) AS\nSELECT\n")
    assert prepared.prepare.endswith("ORDER BY n.id\nLIMIT $3;\n")
    assert prepared.execute == (
        "EXECUTE domain_nodes (%(domain_ids)s::uuid[], %(after)s::uuid, %(limit)s::integer);"
    )


def test_a_first_statement_is_sent_in_the_same_message() -> None:
    assert Prepared("entry_put").execute.startswith(
        statement("lock_domain") + "EXECUTE entry_put ("
    )


def test_a_prepared_statement_has_single_percent_signs() -> None:
    assert "LIKE '%:%'" in Prepared("expected_nodes").prepare


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        statement("nothing")


@pytest.mark.parametrize("query", STATEMENTS, ids=ids)
def test_a_statement_says_which_module_sends_it_and_by_which_index(query: Query) -> None:
    modules = re.findall(r"\bdb/(\w+\.py)", query.header)
    assert modules != []
    for module in modules:
        text = (ROOM / module).read_text(encoding="utf-8")
        assert f'"{query.name}"' in text or is_first(query)
    assert INDEXES.search(query.header) or is_without_table(query)


def is_first(query: Query) -> bool:
    """Whether the loader sends it, before another one."""
    return any(other.first == query.name for other in PREPARED)


def is_without_table(query: Query) -> bool:
    return "plexsphere." not in query.body or query.file == "migrate.sql"


@pytest.mark.parametrize("query", PREPARED, ids=ids)
def test_a_prepared_statement_declares_the_parameters_that_it_uses(query: Query) -> None:
    used = set(re.findall(r"%\((\w+)\)s", statement(query.name)))
    assert set(query.parameters) == used


def test_every_fragment_is_included_by_several_places() -> None:
    texts = "\n".join(query.body for query in QUERIES.values())
    fragments = [query.name for query in QUERIES.values() if query.is_fragment]
    counted = {name: len(re.findall(rf"-- include: {name}\b", texts)) for name in fragments}
    assert counted != {}
    assert [name for name, times in counted.items() if times < 2] == []
