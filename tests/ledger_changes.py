"""The changes of a writer to a generated ledger between two pulls."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.ledger_parts import addresses, good_moments, hosts, keys, node_at, places, ports
from tests.ledger_tables import Change, Tables

KINDS = ["heartbeat", "address", "key", "move", "remove", "add", "forget"]
RELAY_KINDS = ["toggle", "unassign", "reassign", "assign", "drop relay", "drop bridge", "rehost"]
kinds = st.lists(st.sampled_from(KINDS), max_size=3)
relay_kinds = st.lists(st.sampled_from(KINDS + RELAY_KINDS * 2), max_size=3)


def changes(draw: DrawFn, tables: Tables) -> tuple[Change, ...]:
    """The next change of a writer; each is legal whatever came before it."""
    drawn = draw(relay_kinds if tables["bridge_relays"] else kinds)
    return tuple(_change(draw, kind, tables) for kind in drawn)


def _change(draw: DrawFn, kind: str, tables: Tables) -> Change:
    node = node_at([row["id"] for row in tables["nodes"]], draw(places))
    where = "UPDATE plexsphere.nodes SET {} WHERE id = %s"
    match kind:
        case "heartbeat":
            beat = "last_heartbeat_at = %s, reachability_state = 'healthy'"
            return Change(where.format(beat), (draw(good_moments), node))
        case "address":
            return Change(where.format("mesh_ip = %s"), (draw(addresses), node))
        case "key":
            return Change(where.format("public_key = %s"), (draw(keys), node))
        case "move":
            domain = node_at([row["id"] for row in tables["domains"]], draw(places))
            return Change(where.format("domain_id = %s"), (domain, node))
        case "remove":
            return Change("DELETE FROM plexsphere.nodes WHERE id = %s", (node,))
        case "add":
            return Change(
                "INSERT INTO plexsphere.nodes (id, domain_id, mesh_ip, public_key) "
                "VALUES ('0190b2c4-8d5e-7000-8000-0000000000aa', %s, %s, %s)"
                "ON CONFLICT DO NOTHING",
                (tables["domains"][0]["id"], draw(addresses), draw(keys)),
            )
        case "forget":
            table = draw(st.sampled_from(["policy_compiled_ruleset", "node_state_entries"]))
            return Change(f"DELETE FROM plexsphere.{table} WHERE node_id = %s", (node,))
    resource = node_at([row["bridge_resource_id"] for row in tables["bridge_relays"]], draw(places))
    relay = "plexsphere.bridge_relays"
    assigned = "plexsphere.bridge_relay_assignments"
    match kind:
        case "toggle":
            return Change(
                f"UPDATE {relay} SET enabled = NOT enabled WHERE bridge_resource_id = %s",
                (resource,),
            )
        case "unassign":
            return Change(
                f"DELETE FROM {assigned} WHERE bridge_resource_id = %s AND peer_node_id = %s",
                (resource, node),
            )
        case "reassign":
            return Change(
                f"UPDATE {assigned} SET fallback_endpoint = %s, fallback_endpoint_port = %s "
                "WHERE bridge_resource_id = %s",
                (draw(hosts), draw(ports), resource),
            )
        case "assign":
            return Change(
                f"INSERT INTO {assigned} SELECT r.bridge_resource_id, n.id, 'new.example', 7 "
                f"FROM {relay} r, plexsphere.nodes n WHERE r.bridge_resource_id = %s AND n.id = %s "
                "ON CONFLICT DO NOTHING",
                (resource, node),
            )
        case "rehost":
            return Change(
                "UPDATE plexsphere.bridge_resources SET node_id = n.id FROM plexsphere.nodes AS n "
                "WHERE bridge_resources.id = %s AND n.id = %s AND NOT EXISTS "
                "(SELECT FROM plexsphere.bridge_resources AS b WHERE b.node_id = n.id)",
                (resource, node),
            )
        case "drop relay":
            return Change(f"DELETE FROM {relay} WHERE bridge_resource_id = %s", (resource,))
    return Change("DELETE FROM plexsphere.bridge_resources WHERE id = %s", (resource,))
