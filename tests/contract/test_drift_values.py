"""Schemas and the composer's values: fields, types, formats, items and enums.

What handlers put together themselves is held against its schemas in `test_drift_answers.py`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from composer import policy, reachability
from composer import snapshot as values
from composer.audit_trail import AuditRecord
from composer.domain import Domain
from composer.peers import Peer
from composer.reachability_policy import ReachabilityPolicy
from server.contract import Contract
from tests.contract.drift import checked_words, enum_complaints, value_complaints

SCHEMAS: dict[str, Any] = Contract.packaged().document["components"]["schemas"]
LEDGER = (Path(__file__).resolve().parents[2] / "db" / "schema.sql").read_text()

# schema -> value; a schema of the snapshot that is not here fails a test below.
VALUES: dict[str, type] = {
    "NodeStateSnapshot": values.NodeStateSnapshot,
    "NodeStatePeer": Peer,
    "Reachability": values.Reachability,
    "NodeStatePolicy": values.Policy,
    "NodeStateCompiledRule": values.CompiledRule,
    "PolicyPortRange": values.PolicyPortRange,
    "NodeStateReports": values.Reports,
    "StateEntry": values.StateEntry,
    "NodeStateBridge": values.Bridge,
    "NodeStateBridgeRelay": values.Relay,
    "NodeStateBridgeRelayAssignment": values.RelayAssignment,
    "NodeStateBridgeUserAccess": values.UserAccess,
    "BridgeUserAccessProviderResponse": values.UserAccessProvider,
    "NodeStateBridgeIngress": values.Ingress,
    "BridgeIngressRuleResponse": values.IngressRule,
    "NodeStateBridgeSiteToSite": values.SiteToSite,
    "BridgeSiteToSiteTunnelResponse": values.SiteToSiteTunnel,
    "Domain": Domain,
    "DomainReachabilityPolicy": ReachabilityPolicy,
    "AuditEntry": AuditRecord,
}


def schemas_below(name: str) -> set[str]:
    """Object schemas reachable from one schema."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting += [one.rpartition("/")[2] for one in references(SCHEMAS[current])]
    return {one for one in found if SCHEMAS[one].get("type") == "object"}


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def keyed(name: str, **changes: Any) -> Callable[[dict[str, Any]], None]:
    """Edits one property of a schema."""
    return lambda schema: schema["properties"][name].update(changes)


def replaced(name: str, **rules: Any) -> Callable[[dict[str, Any]], None]:
    """Puts a text with these rules in the place of a property."""
    return lambda schema: schema["properties"].update({name: {"type": "string", **rules}})


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [one for value in node.values() for one in references(value)]
    if isinstance(node, list):
        return [one for value in node for one in references(value)]
    return []


def test_every_schema_of_the_snapshot_has_a_value() -> None:
    below = schemas_below("NodeStateSnapshot")
    assert len(below) > 10
    assert below <= VALUES.keys()


@pytest.mark.parametrize("name", VALUES)
def test_a_schema_and_its_value_agree(name: str) -> None:
    assert value_complaints(SCHEMAS, VALUES, name) == []


@pytest.mark.parametrize(
    ("schema", "edit", "complaint"),
    [
        ("NodeStatePeer", lambda s: s["properties"].pop("mesh_ip"), "no property mesh_ip"),
        ("NodeStatePeer", lambda s: s["properties"].update(psk={"type": "string"}), "in no value"),
        ("NodeStatePeer", lambda s: s["required"].append("fallback_endpoint"), "fallback_endpoint"),
        ("Domain", lambda s: s["properties"].update(owner={"type": "string"}), "in no value"),
        ("Domain", lambda s: s["required"].remove("created_at"), "Domain.created_at: None in"),
        ("AuditEntry", keyed("seq", type="string"), "AuditEntry.seq: integer, not string"),
        ("StateEntry", lambda s: s["properties"]["value"].update(type="integer"), "not integer"),
        ("NodeStatePolicy", lambda s: s["properties"]["rules"].update(type="object"), "rules"),
        ("NodeStateSnapshot", lambda s: s["required"].remove("reachability"), "reachability"),
        ("NodeStatePolicy", keyed("rules", items=ref("StateEntry")), "rules[]: not a StateEntry"),
        (
            "NodeStateSnapshot",
            keyed("peers", items=ref("NodeStateCompiledRule")),
            "peers[]: not a CompiledRule",
        ),
        (
            "BridgeSiteToSiteTunnelResponse",
            keyed("allowed_subnets", items={"type": "integer"}),
            "allowed_subnets[]: string, not integer",
        ),
        ("NodeStatePeer", replaced("mesh_ip", format="uuid"), "format None, not uuid"),
        ("NodeStatePeer", replaced("public_key"), "format byte, not None"),
        ("Reachability", replaced("changed_at", format="uuid"), "format date-time, not uuid"),
    ],
    ids=[
        *("removed", "added", "required", "of a Domain", "always there", "of the audit"),
        *("type", "array", "optional"),
        *("items", "items of a Sequence", "plain items", "format more", "format less", "format"),
    ],
)
def test_a_schema_that_parts_from_its_value_is_named(
    schema: str, edit: Any, complaint: str
) -> None:
    edited = copy.deepcopy(SCHEMAS)
    edit(edited[schema])
    complaints = value_complaints(edited, VALUES, schema)
    assert any(complaint in one for one in complaints), complaints


WORDS = {
    ("Reachability", "state"): reachability.STATES,
    ("NodeStateCompiledRule", "action"): policy.ACTIONS,
    ("NodeStateCompiledRule", "protocol"): policy.PROTOCOLS,
    ("BridgeUserAccessProviderResponse", "kind"): checked_words(
        LEDGER, "bridge_user_access_providers", "kind"
    ),
    ("BridgeSiteToSiteTunnelResponse", "kind"): checked_words(
        LEDGER, "bridge_site_to_site_tunnels", "kind"
    ),
    ("BridgeSiteToSiteTunnelResponse", "routing_policy"): checked_words(
        LEDGER, "bridge_site_to_site_tunnels", "routing_policy"
    ),
}


def test_every_enum_of_the_snapshot_has_the_words_of_the_composer_or_the_ledger() -> None:
    assert all(WORDS.values())
    assert enum_complaints(SCHEMAS, list(VALUES), WORDS) == []


@pytest.mark.parametrize(
    ("edit", "word"),
    [(lambda enum: enum.append("sick"), "sick"), (lambda enum: enum.remove("stale"), "stale")],
    ids=["more", "less"],
)
def test_a_word_that_only_one_side_knows_is_named(edit: Any, word: str) -> None:
    edited = copy.deepcopy(SCHEMAS)
    edit(edited["Reachability"]["properties"]["state"]["enum"])
    complaints = enum_complaints(edited, list(VALUES), WORDS)
    assert complaints == [f"Reachability.state: {word!r} is not on both sides"]


def test_an_enum_that_no_code_knows_is_named() -> None:
    known = {at: words for at, words in WORDS.items() if at != ("NodeStateCompiledRule", "action")}
    complaints = enum_complaints(SCHEMAS, list(VALUES), known)
    assert complaints == ["NodeStateCompiledRule.action: an enum that the code does not know"]


def test_a_nullable_that_no_value_can_be_is_named() -> None:
    edited = copy.deepcopy(SCHEMAS)
    edited["Reachability"]["nullable"] = True
    complaints = value_complaints(edited, VALUES, "NodeStateSnapshot")
    assert any("reachability" in one for one in complaints), complaints
