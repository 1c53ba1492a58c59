"""Generated ledgers, corrupt rows included, and what changes once they have been read.

What a process holds from the first pull must not survive into the second.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tests.ledger_changes import changes
from tests.ledger_parts import (
    addresses,
    entry_keys,
    good_moments,
    hosts,
    keys,
    moments,
    node_at,
    places,
    ports,
    rarely,
    routing_texts,
    texts,
)
from tests.ledger_rules import rule_sets
from tests.ledger_tables import TABLES, Ledger, Row, Tables
from tests.ledger_words import (
    DOMAIN_IDS,
    ITEM_IDS,
    KEYS,
    NO_STATES,
    NODE_IDS,
    RESOURCE_IDS,
    SLUGS,
    STATES,
    SUBNETS,
    TEXTS,
)

entries = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["metadata", "data", "report"]),
            "key": entry_keys,
            "value": texts,
            "workload_tag": st.one_of(st.none(), texts),
        }
    ),
    max_size=8,
    unique_by=lambda row: (row["kind"], row["key"]),
)

providers = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(ITEM_IDS),
            "slug": st.sampled_from(SLUGS),
            "kind": st.sampled_from(["netbird", "tailscale", "wireguard"]),
            "interface_name": st.sampled_from(["wg0", "wg-Zürich", '"'] + TEXTS[1:6]),
            "listen_port": ports,
            "max_peers": st.sampled_from([1, 250, 2**31 - 1]),
            "auth_secret_ref": st.sampled_from(["secret:a/b/c", "secret:pröject/0190/vpn:3"]),
            "routing_policy": routing_texts,
            "created_at": moments,
            "updated_at": good_moments,
        }
    ),
    max_size=3,
    unique_by=(lambda row: row["id"], lambda row: row["slug"]),
)


ingress_rules = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(ITEM_IDS),
            "slug": st.sampled_from(SLUGS),
            "sni_host": st.sampled_from(["shop.example.com", "A", "a-1.b"]),
            "target_node_id": places,
            "target_port": ports,
            "acme_account_ref": st.one_of(st.none(), texts),
            "created_at": good_moments,
            "updated_at": moments,
        }
    ),
    max_size=3,
    unique_by=(lambda row: row["id"], lambda row: row["slug"]),
)

tunnels = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(ITEM_IDS),
            "slug": st.sampled_from(SLUGS),
            "kind": st.sampled_from(["wireguard", "ipsec", "openvpn"]),
            "remote_host": st.sampled_from(["vpn.example.com", "fd00::1", "h" * 253, "Zürich"]),
            "remote_port": ports,
            "auth_secret_ref": st.sampled_from(["secret:a/b/c", "secret:a/b/c:d"]),
            "allowed_subnets": st.lists(st.sampled_from(SUBNETS), max_size=3).map(
                lambda subnets: "{" + ",".join(subnets) + "}"
            ),
            "routing_policy": st.sampled_from(["bidirectional", "ingress_only", "egress_only"]),
            "created_at": good_moments,
            "updated_at": good_moments,
        }
    ),
    max_size=3,
    unique_by=(lambda row: row["id"], lambda row: row["slug"]),
)


assignments = st.lists(
    st.fixed_dictionaries(
        {
            "peer_node_id": places,
            "fallback_endpoint": hosts,
            "fallback_endpoint_port": ports,
        }
    ),
    max_size=5,
)


def _nodes(closely: bool, fewest: int = 1) -> SearchStrategy[list[Row]]:
    """Corrupt in every way where they are looked at closely, now and then elsewhere."""
    return st.lists(
        st.fixed_dictionaries(
            {
                "id": st.sampled_from(NODE_IDS),
                "domain_id": st.sampled_from([0, 0, 0, 1, 2]),
                "mesh_ip": addresses if closely else rarely([None, "::"], ["10.42.0.7", "fd00::9"]),
                "public_key": keys if closely else rarely([None, b"short"], KEYS[:4]),
                "reachability_state": rarely(NO_STATES, STATES, 60),
                "last_heartbeat_at": st.one_of(st.none(), moments),
                "changed_at": moments if closely else good_moments,
            }
        ),
        min_size=fewest,
        max_size=9,
        unique_by=lambda row: row["id"],
    )


AGGREGATES = (
    ("bridge_user_access_providers", providers),
    ("bridge_ingress_rules", ingress_rules),
    ("bridge_site_to_site_tunnels", tunnels),
)
NODES = st.one_of(_nodes(False), _nodes(False, fewest=4))
CORRUPT_NODES = st.one_of(_nodes(True), _nodes(True, fewest=6))


@st.composite
def ledgers(draw: DrawFn) -> Ledger:
    """Up to three Domains and nine Nodes. Each ledger looks closely at one or two things."""
    focus = draw(
        st.sampled_from(
            ["peers", "relays", "policy", "policy", "entries", "aggregates", "everything"]
        )
    )
    tables: Tables = {name: [] for name in TABLES}
    domains = DOMAIN_IDS[: draw(st.integers(1, 3))]
    tables["domains"] = [{"id": domain} for domain in domains]
    closely = focus in ("peers", "everything")
    tables["nodes"] = draw(CORRUPT_NODES if closely else NODES)
    for row in tables["nodes"]:
        row["domain_id"] = domains[row["domain_id"] % len(domains)]
    nodes = [row["id"] for row in tables["nodes"]]
    if focus in ("policy", "everything"):
        _hang(draw, tables["policy_compiled_ruleset"], nodes, rule_sets)
    if focus in ("entries", "everything"):
        _hang(draw, tables["node_state_entries"], nodes, entries)
    if focus in ("relays", "aggregates", "everything"):
        _add_bridges(draw, tables, nodes, focus)
    return Ledger(tables, changes(draw, tables))


def _hang(
    draw: DrawFn, table: list[Row], nodes: Sequence[str], rows: SearchStrategy[list[Row]]
) -> None:
    """Rows of one or two Nodes; the others have none."""
    for node in dict.fromkeys(node_at(nodes, draw(places)) for _ in range(2)):
        table.extend({"node_id": node} | row for row in draw(rows))


def _add_bridges(draw: DrawFn, tables: Tables, nodes: Sequence[str], focus: str) -> None:
    """Several relays where relays matter, the other aggregates where those do."""
    on = {node_at(nodes, draw(places)) for _ in range(draw(st.integers(1, 3)))}
    first = draw(st.integers(0, len(RESOURCE_IDS) - 1))
    resources = RESOURCE_IDS[first:] + RESOURCE_IDS[:first]
    taken: set[str] = set()
    for host, resource in zip(sorted(on), resources, strict=False):
        tables["bridge_resources"].append({"id": resource, "node_id": host})
        key = {"bridge_resource_id": resource}
        if draw(st.sampled_from([True, True, True, False])):
            relay = {"enabled": draw(st.sampled_from([True, True, False]))}
            tables["bridge_relays"].append(key | relay | {"listen_port": draw(ports)})
            rows = {node_at(nodes, row["peer_node_id"]): row for row in draw(assignments)}
            tables["bridge_relay_assignments"].extend(
                key | row | {"peer_node_id": node} for node, row in rows.items()
            )
        if focus == "relays":
            continue
        for name, strategy in AGGREGATES:
            for row in draw(strategy):
                if row["id"] not in taken:
                    taken.add(row["id"])
                    tables[name].append(key | row)
    for row in tables["bridge_ingress_rules"]:
        row["target_node_id"] = node_at(nodes, row["target_node_id"])
