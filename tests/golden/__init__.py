"""Fixed ledgers with the exact bodies of their Nodes; README.md says how they are kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.ledger_tables import TABLES, Tables, framed

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Golden:
    """One ledger: its rows, and the Nodes whose bodies are kept."""

    folder: Path
    tables: Tables
    pulled: dict[str, str]

    @property
    def name(self) -> str:
        return self.folder.name

    def body_file(self, node: str) -> Path:
        return self.folder / f"{node}.body.json"

    def body_files(self) -> set[Path]:
        """The files there, wanted or not."""
        return set(self.folder.glob("*.body.json"))


def goldens() -> list[Golden]:
    """All of them, by name. Their ids differ, so that one database can hold all at once."""
    return [golden(path.parent) for path in sorted(FOLDER.glob("*/ledger.json"))]


def golden(folder: Path) -> Golden:
    """Read one `ledger.json`: rows by table, Domains and Nodes called by their names."""
    written = json.loads((folder / "ledger.json").read_text(encoding="utf-8"))
    domains: dict[str, str] = written["domains"]
    nodes = {row["name"]: row["id"] for row in written["nodes"]}
    tables: Tables = {name: [] for name in TABLES}
    tables["domains"] = [{"id": domain_id, "name": name} for name, domain_id in domains.items()]
    tables["nodes"] = [_node(row, domains) for row in written["nodes"]]
    tables["policy_compiled_ruleset"] = [_policy(row, nodes) for row in written.get("policies", [])]
    tables["node_state_entries"] = [
        {**row, "node_id": nodes[row["node_id"]], "workload_tag": row.get("workload_tag")}
        for row in written.get("entries", [])
    ]
    for bridge in written.get("bridges", []):
        _add_bridge(tables, bridge, nodes)
    pulled = {name: nodes[name] for name in written["pulled"]}
    return Golden(folder, tables, pulled)


def _node(row: dict[str, Any], domains: dict[str, str]) -> dict[str, Any]:
    key = row.get("public_key")
    return {
        "id": row["id"],
        "name": row["name"],
        "domain_id": domains[row["domain"]],
        "mesh_ip": row.get("mesh_ip"),
        # {"of": text} stands for 32 bytes, its SHA-256; anything else is hex
        "public_key": _digest(key["of"].encode()) if isinstance(key, dict) else _bytes(key),
        "reachability_state": row.get("reachability_state", ""),
        "last_heartbeat_at": row.get("last_heartbeat_at"),
        "changed_at": row.get("changed_at", "2026-11-23T07:00:00Z"),
    }


def _policy(row: dict[str, Any], nodes: dict[str, str]) -> dict[str, Any]:
    payload = framed(*row["rules"])
    return {
        "node_id": nodes[row["node_id"]],
        "policy_id": row["policy_id"],
        "revision_id": row["revision_id"],
        "rule_payload": payload,
        "fingerprint": _digest(payload),
    }


def _add_bridge(tables: Tables, bridge: dict[str, Any], nodes: dict[str, str]) -> None:
    key = {"bridge_resource_id": bridge["id"]}
    tables["bridge_resources"].append({"id": bridge["id"], "node_id": nodes[bridge["node_id"]]})
    if "relay" in bridge:
        relay = dict(bridge["relay"])
        assignments = relay.pop("assignments")
        tables["bridge_relays"].append(key | relay)
        tables["bridge_relay_assignments"] += [
            {**key, **row, "peer_node_id": nodes[row["peer_node_id"]]} for row in assignments
        ]
    for row in bridge.get("providers", []):
        policy = json.dumps(row["routing_policy"], ensure_ascii=False)
        tables["bridge_user_access_providers"].append({**key, **row, "routing_policy": policy})
    for row in bridge.get("ingress_rules", []):
        target = {"target_node_id": nodes[row["target_node_id"]]}
        account = {"acme_account_ref": row.get("acme_account_ref")}
        tables["bridge_ingress_rules"].append({**key, **row, **target, **account})
    for row in bridge.get("tunnels", []):
        subnets = "{" + ",".join(row["allowed_subnets"]) + "}"
        tables["bridge_site_to_site_tunnels"].append({**key, **row, "allowed_subnets": subnets})


def _digest(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)
