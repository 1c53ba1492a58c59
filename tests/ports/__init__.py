"""Port-conformance suites: one a port, run on the fake and on every real adapter.

A suite is a class whose tests ask for one fixture, ``facts``. Whoever runs it subclasses it under a
name that pytest collects and overrides that fixture with a way to put facts where the adapter will
find them: a dict for a fake, Postgres or SpiceDB for the real one.
"""

import pytest

pytest.register_assert_rewrite(
    "tests.ports.audit_sink",
    "tests.ports.body_history",
    "tests.ports.drop_reporter",
    "tests.ports.ledger",
    "tests.ports.node_repo",
    "tests.ports.relation_checker",
    "tests.ports.snapshot_provider",
)
