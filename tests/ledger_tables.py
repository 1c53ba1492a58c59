"""A ledger as rows by table, and how to put one into a database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pprint import pformat
from typing import Any

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

    def shown(self) -> str:
        """For people: the rows there are, and then the changes."""
        filled = {name: rows for name, rows in self.tables.items() if rows}
        changes = [(change.sql, change.values) for change in self.changes]
        return pformat({**filled, "changes": changes}, width=98, sort_dicts=False)

    def telling(self, most: int) -> list[str]:
        """The Nodes to pull: those with blocks of their own, then others, then the nil one."""
        own = {row["node_id"] for rows in self.tables.values() for row in rows if "node_id" in row}
        return sorted(self.node_ids, key=lambda node_id: (node_id not in own, node_id == NIL))[
            :most
        ]


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
    """Rules as a compiled row's payload."""
    return b"".join(line(rule).encode() + b"\n" for rule in rules)


def line(rule: object) -> str:
    return json.dumps(rule, ensure_ascii=False, separators=(",", ":"))
