"""peers_revision: changes with whatever the peers of a Domain show, and with nothing else."""

from __future__ import annotations

from contextlib import closing
from uuid import UUID, uuid4

import psycopg2
import pytest

from db.bulk import TableRows, copy_rows
from tests.integration.ledger_places import Place
from tests.integration.ledger_rows import Hand, revision_seen_by

pytest_plugins = "tests.integration.ledger_fixtures"


NODE = "UPDATE plexsphere.nodes SET {} WHERE id = %s"
RELAY = "UPDATE plexsphere.bridge_relays SET {} WHERE bridge_resource_id = %s"
ASSIGNMENT = "UPDATE plexsphere.bridge_relay_assignments SET {} WHERE bridge_resource_id = %s"

SEEN: dict[str, tuple[str, str]] = {
    "a node registered": (
        "INSERT INTO plexsphere.nodes (id, domain_id) SELECT gen_random_uuid(), domain_id"
        " FROM plexsphere.nodes WHERE id = %s",
        "other",
    ),
    "a node deregistered": ("DELETE FROM plexsphere.nodes WHERE id = %s", "other"),
    "a key rotated": (NODE.format("public_key = sha256('new')"), "other"),
    "a key taken away": (NODE.format("public_key = NULL"), "other"),
    "an address changed": (NODE.format("mesh_ip = '10.42.9.9'"), "other"),
    "an address taken away": (NODE.format("mesh_ip = NULL"), "other"),
    "another id": (NODE.format("id = gen_random_uuid()"), "other"),
    "a bridge node deregistered": ("DELETE FROM plexsphere.nodes WHERE id = %s", "host"),
    "a relay disabled": (RELAY.format("enabled = false"), "resource"),
    "a relay removed": (
        "DELETE FROM plexsphere.bridge_relays WHERE bridge_resource_id = %s",
        "resource",
    ),
    "a relay added": (
        "WITH b AS (INSERT INTO plexsphere.bridge_resources (node_id) VALUES (%s) RETURNING id)"
        " INSERT INTO plexsphere.bridge_relays (bridge_resource_id, listen_port)"
        " SELECT id, 1 FROM b",
        "other",
    ),
    "a bridge resource removed": (
        "DELETE FROM plexsphere.bridge_resources WHERE id = %s",
        "resource",
    ),
    "an assignment added": (
        "INSERT INTO plexsphere.bridge_relay_assignments SELECT bridge_resource_id, %s, 'x', 1"
        " FROM plexsphere.bridge_relay_assignments",
        "other",
    ),
    "an assignment removed": (
        "DELETE FROM plexsphere.bridge_relay_assignments WHERE bridge_resource_id = %s",
        "resource",
    ),
    "another fallback host": (ASSIGNMENT.format("fallback_endpoint = 'b.example'"), "resource"),
    "another fallback port": (ASSIGNMENT.format("fallback_endpoint_port = 7"), "resource"),
    "an assignment to another peer": (
        "UPDATE plexsphere.bridge_relay_assignments SET peer_node_id = %s"
        " WHERE bridge_resource_id = (SELECT b.id FROM plexsphere.bridge_resources b"
        " JOIN plexsphere.nodes n ON n.id = b.node_id ORDER BY b.created_at DESC LIMIT 1)",
        "other",
    ),
}

UNSEEN: dict[str, tuple[str, str]] = {
    "a heartbeat": (NODE.format("last_heartbeat_at = now()"), "other"),
    "a transition": (NODE.format("reachability_state = 'stale', changed_at = now()"), "other"),
    "another name": (NODE.format("name = 'renamed'"), "other"),
    "a ZedToken": (NODE.format("authz_token = 'token'"), "other"),
    "the same key again": (NODE.format("public_key = public_key, mesh_ip = mesh_ip"), "other"),
    "an entry": (
        "INSERT INTO plexsphere.node_state_entries (node_id, kind, key, value)"
        " VALUES (%s, 'report', 'disk', 'ok')",
        "other",
    ),
    "a rule set": (
        "INSERT INTO plexsphere.policy_compiled_ruleset VALUES (%s, gen_random_uuid(),"
        " gen_random_uuid(), '', sha256(''))",
        "other",
    ),
    "another listen port": (RELAY.format("listen_port = 7"), "resource"),
    "the same relay again": (RELAY.format("enabled = enabled"), "resource"),
    "an insert of nothing": (
        "INSERT INTO plexsphere.nodes (id, domain_id) SELECT id, domain_id FROM plexsphere.nodes"
        " WHERE id = %s AND false",
        "other",
    ),
}


@pytest.mark.parametrize(("sql", "whose"), SEEN.values(), ids=SEEN.keys())
def test_what_the_peers_show_gives_another_revision(place: Place, sql: str, whose: str) -> None:
    # The statements about all assignments are about this place's alone.
    place.hand.run(
        "DELETE FROM plexsphere.bridge_relay_assignments WHERE bridge_resource_id <> %s",
        place.resource,
    )
    assert place.changes(sql, getattr(place, whose))


@pytest.mark.parametrize(("sql", "whose"), UNSEEN.values(), ids=UNSEEN.keys())
def test_what_the_peers_do_not_show_leaves_the_revision(place: Place, sql: str, whose: str) -> None:
    assert not place.changes(sql, getattr(place, whose))


@pytest.mark.parametrize("whose", ["host", "peer", "other"])
def test_a_node_that_moves_changes_both_domains(place: Place, whose: str) -> None:
    new_home = place.hand.domain()
    before = place.hand.revision(place.domain), place.hand.revision(new_home)
    place.hand.run(NODE.format(f"domain_id = '{new_home}'"), getattr(place, whose))
    after = place.hand.revision(place.domain), place.hand.revision(new_home)
    assert (before[0] != after[0], before[1] != after[1]) == (True, True)


def test_a_bridge_resource_that_moves_changes_both_domains(place: Place) -> None:
    away = place.hand.domain()
    stranger = place.hand.node(away)
    before = place.hand.revision(place.domain), place.hand.revision(away)
    place.hand.run(
        "UPDATE plexsphere.bridge_resources SET node_id = %s WHERE id = %s",
        stranger,
        place.resource,
    )
    after = place.hand.revision(place.domain), place.hand.revision(away)
    assert (before[0] != after[0], before[1] != after[1]) == (True, True)


def test_another_domain_is_left_alone(place: Place) -> None:
    elsewhere = place.hand.domain()
    place.hand.node(elsewhere)
    before = place.hand.revision(elsewhere)
    place.hand.run(NODE.format("public_key = NULL"), place.other)
    assert place.hand.revision(elsewhere) == before


def test_two_domains_never_share_a_revision(place: Place) -> None:
    elsewhere = place.hand.domain()
    node = place.hand.node(elsewhere)
    place.hand.run(
        "UPDATE plexsphere.nodes SET public_key = sha256('both') WHERE id = ANY (%s::uuid[])",
        [str(place.other), str(node)],
    )
    assert place.hand.revision(elsewhere) != place.hand.revision(place.domain)


def test_every_statement_of_a_transaction_gives_another_revision(place: Place) -> None:
    seen = set()
    with closing(place.hand.session()) as session, session, session.cursor() as cursor:
        for number in range(5):
            cursor.execute(NODE.format("public_key = %s"), (bytes([number]), str(place.other)))
            seen.add(revision_seen_by(session, place.domain))
    assert len(seen) == 5


def test_a_change_after_a_rollback_to_a_savepoint_gives_another_revision(place: Place) -> None:
    before = place.hand.revision(place.domain)
    with closing(place.hand.session()) as session, session, session.cursor() as cursor:
        # One message: the mark of the undone bump must be undone with it.
        cursor.execute(
            "SAVEPOINT a; UPDATE plexsphere.nodes SET public_key = '\\x01' WHERE id = %s;"
            " ROLLBACK TO a; UPDATE plexsphere.nodes SET public_key = '\\x02' WHERE id = %s",
            (str(place.other), str(place.other)),
        )
    assert place.hand.revision(place.domain) != before


def test_copying_ten_thousand_nodes_bumps_once(hand: Hand) -> None:
    domain = hand.domain()
    rows = ((uuid4(), domain, f"10.42.{n // 256}.{n % 256}", bytes(32)) for n in range(10_000))
    table = TableRows("nodes", ("id", "domain_id", "mesh_ip", "public_key"), rows)
    before = _versions(hand, domain)
    copy_rows(hand.dsn, [table])
    assert _versions(hand, domain) == before + 1


def test_updating_ten_thousand_nodes_bumps_once(hand: Hand) -> None:
    domain = hand.domain()
    table = TableRows("nodes", ("id", "domain_id"), ((uuid4(), domain) for _ in range(10_000)))
    copy_rows(hand.dsn, [table])
    before = _versions(hand, domain)
    hand.run("UPDATE plexsphere.nodes SET public_key = '\\x01' WHERE domain_id = %s", domain)
    assert _versions(hand, domain) == before + 1


@pytest.mark.parametrize(
    "table",
    [
        *("nodes", "bridge_resources", "bridge_relays", "bridge_relay_assignments", "domains"),
        *("policy_compiled_ruleset", "node_state_entries", "bridge_user_access_providers"),
        *("bridge_ingress_rules", "bridge_site_to_site_tunnels"),
    ],
)
def test_truncate_is_refused_even_to_the_owner(hand: Hand, table: str) -> None:
    with pytest.raises(psycopg2.errors.FeatureNotSupported, match="peers_revision"):
        hand.run(f"TRUNCATE plexsphere.{table} CASCADE")


def _versions(hand: Hand, domain: UUID) -> int:
    """The number of writes of the Domain's row, by a trigger of the test's own."""
    hand.run(
        "CREATE TABLE IF NOT EXISTS public.bumps (domain_id uuid);"
        " CREATE OR REPLACE FUNCTION public.count_bump() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO public.bumps VALUES (NEW.id); RETURN NULL; END $$;"
        " CREATE OR REPLACE TRIGGER count_bumps AFTER UPDATE ON plexsphere.domains"
        " FOR EACH ROW EXECUTE FUNCTION public.count_bump()"
    )
    return int(hand.run("SELECT count(*) FROM public.bumps WHERE domain_id = %s", domain)[0][0])
