"""One moment: a view mixes no two versions of the ledger, where separate statements do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from db.ledger import PostgresLedger
from db.pool import read_pool
from tests.integration.ledger_rows import Hand
from tests.ports.deadlines import in_time

pytest_plugins = "tests.integration.ledger_fixtures"

PULLS = 400
ROUNDS = 20
Seen = list[set[int]]
CLIENTS = 8
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)

# One transaction: every row set says the same number.
WRITE = """
BEGIN;
UPDATE plexsphere.nodes SET public_key = convert_to(%(version)s::text, 'UTF8')
WHERE domain_id = %(domain)s;
UPDATE plexsphere.policy_compiled_ruleset SET rule_payload = convert_to(%(version)s::text, 'UTF8')
WHERE node_id = %(node)s;
UPDATE plexsphere.node_state_entries SET value = %(version)s WHERE node_id = %(node)s;
UPDATE plexsphere.bridge_relays SET listen_port = 1 + %(version)s;
UPDATE plexsphere.nodes SET changed_at = %(moment)s WHERE id = %(node)s;
COMMIT
"""
# The same five sources, each with a statement of its own.
SEPARATELY = [
    "SELECT convert_from(public_key, 'UTF8')::int FROM plexsphere.nodes"
    " WHERE domain_id = %(domain)s",
    "SELECT extract(epoch FROM changed_at - '2026-01-01Z')::int FROM plexsphere.nodes"
    " WHERE id = %(node)s",
    "SELECT convert_from(rule_payload, 'UTF8')::int FROM plexsphere.policy_compiled_ruleset"
    " WHERE node_id = %(node)s",
    "SELECT value::int FROM plexsphere.node_state_entries WHERE node_id = %(node)s",
    "SELECT listen_port - 1 FROM plexsphere.bridge_relays",
]


class Versioned:
    """A Node whose five row sets all carry the version that was written last."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        with closing(Hand(dsn)) as hand:
            self.domain = hand.domain()
            self.node = hand.node(self.domain, 1, public_key=b"0", changed_at=BEGINNING)
            for number in range(2, 40):
                hand.node(self.domain, number, public_key=b"0")
            resource = hand.bridge(self.node)
            hand.run(
                "UPDATE plexsphere.bridge_relays SET listen_port = 1 WHERE bridge_resource_id = %s",
                resource,
            )
            hand.insert(
                "node_state_entries", node_id=self.node, kind="data", key="version", value="0"
            )
            hand.insert(
                "policy_compiled_ruleset",
                node_id=self.node,
                policy_id=UUID(int=1),
                revision_id=UUID(int=1),
                rule_payload=b"0",
                fingerprint=b"",
            )
        self.pool = read_pool(dsn, CLIENTS, 5.0)
        self.ledger = PostgresLedger(self.pool, cached_rows=200_000)

    @contextmanager
    def being_written(self) -> Iterator[None]:
        """A writer that commits one version after another."""
        done = threading.Event()

        def write() -> None:
            version = 0
            with closing(Hand(self.dsn)) as hand, hand.cursor() as cursor:
                while not done.is_set():
                    version = version % 60_000 + 1
                    cursor.execute(
                        WRITE,
                        {
                            "version": version,
                            "moment": BEGINNING + timedelta(seconds=version),
                            "node": str(self.node),
                            "domain": str(self.domain),
                        },
                    )

        writer = threading.Thread(target=write)
        writer.start()
        try:
            yield
        finally:
            done.set()
            writer.join()

    def in_one_view(self) -> set[int]:
        """The versions that one view shows."""
        view = self.ledger.view(self.node, self.domain, in_time())
        bridge = view.bridge()
        assert bridge is not None and bridge.relay is not None
        changed = view.reachability().changed_at - BEGINNING
        return {
            *(int(row.public_key or b"-1") for row in view.peers().rows),
            int(changed.total_seconds()),
            int(view.policies()[0].rule_payload),
            int(view.entries()[0].value),
            bridge.relay.listen_port - 1,
        }

    def in_separate_statements(self) -> set[int]:
        """The versions that a reader sees who asks five times."""
        names = {"node": str(self.node), "domain": str(self.domain)}
        with self.pool.session(in_time()) as session:
            return {row[0] for sql in SEPARATELY for row in session.run(sql, names)}


@pytest.fixture
def versioned(ledger_dsn: str) -> Iterator[Versioned]:
    made = Versioned(ledger_dsn)
    with made.being_written():
        yield made
    made.pool.close()


def pulled(read: Callable[[], set[int]], is_enough: Callable[[Seen], bool]) -> Seen:
    """Rounds of reads until they have seen enough: a busy machine writes few versions a second."""
    seen: Seen = []
    with ThreadPoolExecutor(CLIENTS) as clients:
        for _ in range(ROUNDS):
            seen += clients.map(lambda _: read(), range(PULLS))
            if is_enough(seen):
                break
    return seen


def mixed(seen: Seen) -> Seen:
    return [versions for versions in seen if len(versions) > 1]


def has_many_versions(seen: Seen) -> bool:
    return len(set.union(*seen)) > 5


def test_separate_statements_mix_versions(versioned: Versioned) -> None:
    """Else the next test proves nothing."""
    assert mixed(pulled(versioned.in_separate_statements, lambda seen: bool(mixed(seen))))


def test_no_view_mixes_versions(versioned: Versioned) -> None:
    seen = pulled(versioned.in_one_view, has_many_versions)
    assert mixed(seen) == []
    assert has_many_versions(seen)
