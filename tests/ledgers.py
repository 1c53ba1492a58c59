"""Generated ledgers, corrupt rows included, and how to put one into a database.

A `Ledger` is rows by table, plus changes to make once it has been read: what a process holds from
the first pull must not survive into the second.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

Row = dict[str, Any]
Tables = dict[str, list[Row]]

# In the order in which foreign keys let them be filled.
TABLES = (
    "domains",
    "nodes",
    "policy_compiled_ruleset",
    "node_state_entries",
    "bridge_resources",
    "bridge_relays",
    "bridge_relay_assignments",
    "bridge_user_access_providers",
    "bridge_ingress_rules",
    "bridge_site_to_site_tunnels",
)
NIL = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Change:
    """One statement that a writer sends between two pulls."""

    sql: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Ledger:
    """Rows by table, then what changes."""

    tables: Tables
    changes: tuple[Change, ...] = field(default=())

    @property
    def node_ids(self) -> list[str]:
        return [row["id"] for row in self.tables["nodes"]]

    def telling(self, most: int) -> list[str]:
        """The Nodes to pull: those with blocks of their own, then others, then the nil one."""
        own = {row["node_id"] for rows in self.tables.values() for row in rows if "node_id" in row}
        return sorted(self.node_ids, key=lambda one: (one not in own, one == NIL))[:most]


def load(cursor: Any, tables: Mapping[str, Sequence[Row]]) -> None:
    """Insert all rows in one round trip, in the transaction that `cursor` is in."""
    statements = []
    for table in TABLES:
        rows = tables.get(table) or ()
        if rows:
            columns = list(rows[0])
            values = ", ".join(["(" + ", ".join(["%s"] * len(columns)) + ")"] * len(rows))
            statements.append(
                cursor.mogrify(
                    f"INSERT INTO plexsphere.{table} ({', '.join(columns)}) VALUES {values}",
                    [row[column] for row in rows for column in columns],
                )
            )
    cursor.execute(b";\n".join(statements))


def framed(*rules: Mapping[str, Any]) -> bytes:
    """Rules as a compiled row's payload (D11)."""
    return b"".join(_line(rule).encode() + b"\n" for rule in rules)


def _line(rule: object) -> str:
    return json.dumps(rule, ensure_ascii=False, separators=(",", ":"))


# ---- words --------------------------------------------------------------------------------------

DOMAIN_IDS = [
    "0190b2c4-0000-7000-8000-00000000d0d0",
    "00000000-0000-4000-8000-000000000001",
    "ffffffff-ffff-4fff-bfff-ffffffffffff",
]
NODE_IDS = [
    *(f"0190b2c4-8d5e-7000-8000-{number:012x}" for number in (1, 2, 9, 10, 16, 255)),
    "00000000-0000-0000-0000-000000000001",
    "7fffffff-ffff-7fff-bfff-ffffffffffff",
    "80000000-0000-7000-8000-000000000000",
    "a0000000-0000-7000-8000-000000000000",
    "9fffffff-0000-7000-8000-00000000000a",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    NIL,
]
RESOURCE_IDS = [f"{digit}0000000-0000-4000-8000-000000000000" for digit in "5a09f"]
ITEM_IDS = [f"{digit}1111111-0000-4000-8000-000000000000" for digit in "3c0f8"]
POLICY_IDS = [f"{digit}2222222-0000-4000-8000-000000000000" for digit in "b10fa"]
REVISION_IDS = [f"{digit}3333333-0000-4000-8000-000000000000" for digit in "9ac1"]

ADDRESSES = [
    None,
    "0.0.0.0",
    "::",
    "10.42.0.7",
    "10.42.0.200/16",
    "0.0.0.0/8",
    "::/0",
    "0.0.0.1",
    "255.255.255.255",
    "fd00:42::9",
    "fd00:42::9/64",
    "2001:db8:0:0:1:0:0:1",
    "1:0:0:2::3",
    "1:2:3:4:5:6:0:8",
    "::1",
    "::ffff:10.42.0.7",
    "::ffff:0.0.0.0",
    "::10.1.2.3",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fe80::1",
]
KEYS = [
    *(hashlib.sha256(bytes([number])).digest() for number in range(6)),
    bytes(32),
    b"\xff" * 32,
    None,
    b"",
    b"\0",
    bytes(31),
    bytes(33),
    b"ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=",
]
MOMENTS = [
    "2026-11-23T08:00:00Z",
    "2026-11-23T08:00:00.1Z",
    "2026-11-23T08:00:00.120300+05:30",
    "2026-11-23T08:00:00.000001Z",
    "2026-11-23T08:00:00.999999-11:00",
    "1969-12-31T23:59:59.999999Z",
    "1970-01-01T00:00:00Z",
    "2000-02-29T12:34:56.5Z",
    "2016-12-31T23:59:60Z",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00.000001Z",
    "0999-06-01T10:20:30.000010Z",
    "9999-12-31T23:59:59.999999Z",
]
NO_MOMENTS = ["infinity", "-infinity", "10000-01-01T00:00:00Z", "0001-12-31T23:59:59Z BC"]
STATES = ["healthy", "stale", "unreachable", ""]
NO_STATES = ["never_reported", "Healthy", " "]
TEXTS = [
    "",
    "ok",
    "Zürich",
    "e\u0301",
    '"quoted" \\back\\ /slash/ </script>',
    "\x01\x08\t\n\x0b\x0c\r\x1f\x7f\x80\x85",
    "\u2028\u2029\ufeff\ufffe\uffff",
    "\ud7ff\ue000\uf8ff",
    "😀𝄞\U0010ffff",
    "null",
    '{"a":[1,2.0]}',
    " leading and trailing ",
    "\u202eright to left",
    "x" * 4096,
    "€" * 4096,
    "\U0010fffe" * 1024,
]
ENTRY_KEYS = [
    "a",
    "B",
    "Z",
    "_",
    "a.b-c_1",
    "é",
    "e\u0301",
    "\ue000",
    "\uffff",
    "😀",
    "\x01",
    "\n",
    "k" * 128,
    "\U0010ffff" * 128,
    "ss",
    "ß",
    "10",
    "9",
]
HOSTS = [
    "relay.example.net",
    "RELAY",
    "10.0.0.1",
    "fd00::1",
    "::1",
    "::ffff:10.0.0.1",
    "räläy.example",
    'a "quoted\\" host',
    "h" * 4000,
    "-",
    "a\tb c",
]
CIDR_PAIRS = [
    ("10.0.0.0/8", "10.42.0.7/32"),
    ("0.0.0.0/0", "255.255.255.255/32"),
    ("10.42.0.7/8", "192.168.0.0/0"),
    ("fd00:42::/32", "fd00:42::7/128"),
    ("::/0", "FD00::/8"),
    ("0:0:0:0:0:0:0:0/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"),
]
SUBNETS = ["192.168.10.0/24", "192.168.2.0/24", "0.0.0.0/0", "fd00::/8", "2001:db8::/32", "::1"]
SLUGS = ["a", "a-1", "a0", "b", "0", "z" * 63, "staff", "a-b-c"]
# Legal JSON that says more than a Python value would: spellings, sizes, doubled keys.
ROUTING_TEXTS = [
    "{}",
    '{"b":1,"aa":2,"a":3,"B":4}',
    '{"z":{"y":{"x":[{"b":1,"a":2},[],{}]}},"é":"\\u00e9","😀":"\\ud83d\\ude00","\\ue000":0}',
    '{"n":[0,-0,-0.0,0.0,1.0,1.10,1e2,1E-7,1e22,123456789012345678901234567890,0.1,5e-324]}',
    '{"big":1e400,"huge":[1.5e308,2e308]}',
    '{"long":0.1000000000000000055511151231257827,"third":0.333333333333333333333}',
    '{"twice":1,"twice":2}',
    '{"t":true,"f":false,"null":null,"":""}',
    '{"control":"\\u0001\\b\\f\\n\\r\\t\\u007f\\u2028\\"\\\\\\/"}',
    "{" + '"deep":{' * 60 + "}" * 61,
    json.dumps({f"key{number}": number for number in range(200)}),
]
# A number past all floats that is no integer, and an integer longer than Python reads.
NO_ROUTING_TEXTS = ['{"n":%s.5}' % ("1" * 400), '{"n":%s}' % ("1" * 4400)]

RULE = {"action": "allow", "protocol": "icmp", "source_cidr": "::/0", "destination_cidr": "::/0"}
TCP = RULE | {"protocol": "tcp", "ports": {"from": 1, "to": 2}}
# What no compiled row may hold, line by line.
BAD_LINES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"\xff",
    b"\xef\xbb\xbf" + _line(RULE).encode(),
    b'{"action":"allow","action":"allow","protocol":"any","source_cidr":"::/0",'
    b'"destination_cidr":"::/0"}',
    *(
        _line(rule).encode()
        for rule in (
            {key: RULE[key] for key in ("action", "protocol", "source_cidr")},
            RULE | {"note": ""},
            RULE | {"action": "ALLOW"},
            RULE | {"action": None},
            RULE | {"action": ["allow"]},
            RULE | {"protocol": "sctp"},
            RULE | {"source_cidr": "10.0.0.0/8"},
            RULE | {"source_cidr": "::1"},
            RULE | {"source_cidr": "::ffff:10.0.0.1/128"},
            RULE | {"source_cidr": "::/0\n"},
            RULE | {"source_cidr": "::/129"},
            RULE | {"source_cidr": "٣::/0"},
            RULE | {"source_cidr": "10.0.0.300/8", "destination_cidr": "10.0.0.0/8"},
            RULE | {"ports": {"from": 1, "to": 2}},
            {key: value for key, value in TCP.items() if key != "ports"},
            TCP | {"ports": None},
            TCP | {"ports": {"from": 1}},
            TCP | {"ports": {"from": 1, "to": 2, "step": 1}},
            TCP | {"ports": {"from": 0, "to": 2}},
            TCP | {"ports": {"from": 2, "to": 1}},
            TCP | {"ports": {"from": 1, "to": 65536}},
            TCP | {"ports": {"from": 1.0, "to": 2}},
            TCP | {"ports": {"from": True, "to": 2}},
            TCP | {"ports": {"from": "1", "to": 2}},
        )
    ),
]

# ---- strategies ---------------------------------------------------------------------------------
# Mostly drawn from the lists above: cheap, so that thousands of ledgers fit into a test run, and
# each word was put there for a reason. Ranges are drawn besides, for what nobody thought of.


def rarely(odd: Sequence[Any], usual: Sequence[Any], times: int = 12) -> SearchStrategy[Any]:
    """One of `odd` about once in `times`; shrinks towards the usual."""
    return st.sampled_from([*usual] * max(1, times * len(odd) // len(usual)) + [*odd])


def _moment(microseconds: int) -> str:
    return (datetime(1, 1, 1) + timedelta(microseconds=microseconds)).isoformat() + "Z"  # noqa: DTZ001


LAST_MICROSECOND = (datetime.max - datetime.min) // timedelta(microseconds=1)  # noqa: DTZ901
moments = st.one_of(rarely(NO_MOMENTS, MOMENTS, 40), st.integers(0, LAST_MICROSECOND).map(_moment))
good_moments = st.sampled_from(MOMENTS)
letters = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
texts = st.one_of(st.sampled_from(TEXTS), st.text(letters, max_size=6))
entry_keys = st.one_of(st.sampled_from(ENTRY_KEYS), st.text(letters, min_size=1, max_size=3))
addresses = st.one_of(
    st.sampled_from(ADDRESSES),
    st.integers(0, 2**32 - 1).map(lambda number: str(ipaddress.IPv4Address(number))),
    st.integers(0, 2**128 - 1).map(lambda number: str(ipaddress.IPv6Address(number))),
)
keys = st.one_of(st.sampled_from(KEYS), st.binary(min_size=32, max_size=32))
hosts = st.sampled_from(HOSTS)
ports = st.one_of(st.sampled_from([1, 443, 65535]), st.integers(1, 65535))

bad_lines = st.sampled_from(BAD_LINES)

scalars = st.one_of(
    st.sampled_from([None, True, False, 0, -1, 2**53 + 1, -(2**70), 10**30, 0.1, 1e16, 1e-7]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(letters, max_size=4),
)
free_form = st.dictionaries(
    st.text(letters, max_size=3),
    st.one_of(
        scalars,
        st.lists(scalars, max_size=3),
        st.dictionaries(st.text(letters, max_size=2), scalars, max_size=3),
    ),
    max_size=4,
)
routing_texts = st.one_of(
    rarely(NO_ROUTING_TEXTS, ROUTING_TEXTS, 20), free_form.map(lambda value: json.dumps(value))
)


@st.composite
def rules(draw: DrawFn) -> bytes:
    """One rule, usually in its canonical line."""
    style = draw(rarely(["spaced", "turned", "bad"], ["canonical"], 10))
    if style == "bad":
        return draw(bad_lines)
    action = draw(st.sampled_from(["allow", "deny", "log"]))
    protocol = draw(st.sampled_from(["any", "icmp", "tcp", "udp"]))
    source, destination = draw(st.sampled_from(CIDR_PAIRS))
    rule: Row = {
        "action": action,
        "protocol": protocol,
        "source_cidr": source,
        "destination_cidr": destination,
    }
    if protocol in ("tcp", "udp"):
        low, high = sorted((draw(ports), draw(ports)))
        rule["ports"] = {"from": low, "to": high}
    if style == "spaced":
        return json.dumps(rule).encode() + b" \r"
    if style == "turned":
        rule = dict(reversed(rule.items()))
    return _line(rule).encode()


@st.composite
def _rule_set(draw: DrawFn) -> Row:
    lines = [draw(rules()) for _ in range(draw(st.sampled_from([0, 1, 1, 2, 2, 3])))]
    lines *= draw(rarely([-(-1024 // max(1, len(lines)))], [1], 15))
    payload = b"".join(line + b"\n" for line in lines)
    flaw = draw(rarely(["cut", "fingerprint", "short", "empty"], [""], 16))
    if flaw == "cut":
        payload = payload[:-1]
    fingerprint = hashlib.sha256(payload).digest()
    if flaw == "fingerprint":
        fingerprint = hashlib.sha256(payload + b"\n").digest()
    elif flaw in ("short", "empty"):
        fingerprint = fingerprint[: 31 if flaw == "short" else 0]
    return {
        "policy_id": draw(st.sampled_from(POLICY_IDS)),
        "revision_id": draw(st.sampled_from(REVISION_IDS)),
        "rule_payload": payload,
        "fingerprint": fingerprint,
    }


rule_sets = st.lists(_rule_set(), min_size=1, max_size=4, unique_by=lambda row: row["policy_id"])

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


# Nodes are drawn as places in the ledger's list of them: so every strategy is built once.
places = st.integers(0, 8)
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
    return Ledger(tables, _changes(draw, tables))


def _hang(
    draw: DrawFn, table: list[Row], nodes: Sequence[str], rows: SearchStrategy[list[Row]]
) -> None:
    """Rows of one or two Nodes; the others have none."""
    for node in dict.fromkeys(_node(nodes, draw(places)) for _ in range(2)):
        table.extend({"node_id": node} | row for row in draw(rows))


def _node(nodes: Sequence[str], place: int) -> str:
    return nodes[place % len(nodes)]


def _add_bridges(draw: DrawFn, tables: Tables, nodes: Sequence[str], focus: str) -> None:
    """Several relays where relays matter, the other aggregates where those do."""
    on = {_node(nodes, draw(places)) for _ in range(draw(st.integers(1, 3)))}
    first = draw(st.integers(0, len(RESOURCE_IDS) - 1))
    resources = RESOURCE_IDS[first:] + RESOURCE_IDS[:first]
    taken: set[str] = set()
    for host, resource in zip(sorted(on), resources, strict=False):
        tables["bridge_resources"].append({"id": resource, "node_id": host})
        key = {"bridge_resource_id": resource}
        if draw(st.sampled_from([True, True, True, False])):
            relay = {"enabled": draw(st.sampled_from([True, True, False]))}
            tables["bridge_relays"].append(key | relay | {"listen_port": draw(ports)})
            rows = {_node(nodes, row["peer_node_id"]): row for row in draw(assignments)}
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
        row["target_node_id"] = _node(nodes, row["target_node_id"])


KINDS = ["heartbeat", "address", "key", "move", "remove", "add", "forget"]
RELAY_KINDS = ["toggle", "unassign", "reassign", "assign", "drop relay", "drop bridge", "rehost"]
kinds = st.lists(st.sampled_from(KINDS), max_size=3)
relay_kinds = st.lists(st.sampled_from(KINDS + RELAY_KINDS * 2), max_size=3)


def _changes(draw: DrawFn, tables: Tables) -> tuple[Change, ...]:
    """What a writer does next; every one is legal whatever came before it."""
    drawn = draw(relay_kinds if tables["bridge_relays"] else kinds)
    return tuple(_change(draw, kind, tables) for kind in drawn)


def _change(draw: DrawFn, kind: str, tables: Tables) -> Change:
    node = _node([row["id"] for row in tables["nodes"]], draw(places))
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
            domain = _node([row["id"] for row in tables["domains"]], draw(places))
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
    resource = _node([row["bridge_resource_id"] for row in tables["bridge_relays"]], draw(places))
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
