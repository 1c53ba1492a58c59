"""The test of one moment sees bodies that a reader of several statements mixes."""

from __future__ import annotations

import threading

import psycopg2

from tests.integration import test_one_moment
from tests.integration.test_one_moment import CLIENTS, NODE, PULLS, pulled
from tests.oracle import expected_body

pytest_plugins = "tests.integration.ledger_fixtures"
written = test_one_moment.written


def test_a_reader_of_separate_statements_mixes_versions(written: str) -> None:
    own = threading.local()

    def read() -> bytes:
        if not hasattr(own, "connection"):
            own.connection = psycopg2.connect(written)
            own.connection.autocommit = True
        return expected_body(own.connection, NODE)

    mixed = [seen for seen in pulled(read) if len(seen) > 1]
    print(f"{len(mixed)} of {CLIENTS * PULLS} bodies of separate statements are mixed")
    assert mixed
