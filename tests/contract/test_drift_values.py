"""Schemas and the composer's values: fields, types, formats, items and enums.

What handlers put together themselves is held against its schemas in `test_drift_answers.py`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import handlers
from composer import events, policy, reachability
from composer import snapshot as values
from composer.audit import AuditRecord
from composer.credentials import SecretKey
from composer.enrolment import LONGEST_LIFETIME, SHORTEST_LIFETIME, IssuedToken
from composer.event_keys import EventKey
from composer.node_token import NodeToken
from composer.peers import Peer
from composer.reachability import ReachabilityPolicy
from composer.registry import ChildCounts, Domain, DomainPage, NodeSummary, RegisteredNode
from server.contract.document import Contract
from tests.contract.drift_values import Composed, checked_words, enum_complaints, value_complaints
from tests.contract.pairing import (
    object_schemas,
    serialised,
    unheld_complaints,
    unpaired_complaints,
)

DOCUMENT: dict[str, Any] = Contract.packaged().document
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
LEDGER = (Path(__file__).resolve().parents[2] / "db" / "schema.sql").read_text()

# schema -> value; a schema of an answer that is in neither of these fails a test below.
VALUES: dict[str, type | Composed] = {
    "NodeStateSnapshot": values.NodeStateSnapshot,
    "NodeStatePeer": Peer,
    "Reachability": values.Reachability,
    "NodeStatePolicy": values.Policy,
    "NodeStateCompiledRule": values.CompiledRule,
    "PolicyPortRange": values.PolicyPortRange,
    "NodeStateReports": values.Reports,
    "StateEntry": values.StateEntry,
    "NodeStateBridge": values.Bridge,
    "NodeStateBridgeRelay": values.BridgeRelay,
    "NodeStateBridgeRelayAssignment": values.RelayAssignment,
    "NodeStateBridgeUserAccess": values.UserAccess,
    "BridgeUserAccessProviderResponse": values.UserAccessProvider,
    "NodeStateBridgeIngress": values.Ingress,
    "BridgeIngressRuleResponse": values.IngressRule,
    "NodeStateBridgeSiteToSite": values.SiteToSite,
    "BridgeSiteToSiteTunnelResponse": values.SiteToSiteTunnel,
    "ChildCounts": ChildCounts,
    "Domain": Domain,
    "DomainPage": DomainPage,
    "DomainReachabilityPolicy": ReachabilityPolicy,
    "AuditEntry": AuditRecord,
    "NodeSummary": Composed((NodeSummary,), empty=("name",)),
    "NodeToken": NodeToken,
    "NodeRegistration": Composed(
        (RegisteredNode, NodeToken, SecretKey, EventKey),
        elsewhere=("peers",),
        unsent=("is_new", "tokens_not_before"),
        empty=("signing_key_id", "signing_public_key"),
    ),
    "NodeSecretKey": Composed((SecretKey,), elsewhere=("node_id",)),
    "IssuedBootstrapToken": Composed((IssuedToken,), elsewhere=("token",)),
    "NodeEnrolment": Composed(
        (RegisteredNode, EventKey, SecretKey),
        elsewhere=("peer_snapshot",),
        unsent=("is_new", "tokens_not_before"),
    ),
}
# Payloads of events. A payload that may be replaced by `pull_required` is more than its value:
# tests/unit/test_event_frames.py holds those.
EVENTS: dict[str, type | Composed] = {
    "PeerAdded": Peer,
    "PeerRemoved": events.PeerRemoved,
    "PeerKeyRotated": events.PeerKeyRotated,
    "PeerEndpointChanged": events.PeerEndpointChanged,
    "SigningKeyRotated": events.SigningKeyRotated,
}
WITH_PULL_REQUIRED = {
    events.PolicyUpdated,
    events.BridgeConfigUpdated,
    events.PullRequired,
    events.ResyncRequired,
}
# Of no value: `test_drift_answers.py` holds them. `test_allow_lists.py` lets it shrink only.
PUT_TOGETHER = frozenset(
    {
        "AuditPage",
        "HealthCheck",
        "HealthStatus",
        "Jwk",
        "JwkSet",
        "NodeHeartbeatResponse",
        "NodeKey",
        "NodePage",
        "OpenapiDocument",
        "StateEntryAccepted",
        "Version",
    }
)


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def keyed(name: str, **changes: Any) -> Callable[[dict[str, Any]], None]:
    """Edits one property of a schema."""
    return lambda schema: schema["properties"][name].update(changes)


def replaced(name: str, **rules: Any) -> Callable[[dict[str, Any]], None]:
    """Puts a text with these rules in the place of a property."""
    return lambda schema: schema["properties"].update({name: {"type": "string", **rules}})


def test_every_object_of_an_answer_has_a_value_or_is_put_together() -> None:
    assert len(set(object_schemas(DOCUMENT))) > 30
    assert unpaired_complaints(DOCUMENT, VALUES, PUT_TOGETHER) == []


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("NodeSummary", "NodeSummary is in an answer: add its class to VALUES"),
        ("NodeStatePeer", "NodeStatePeer is in an answer: add its class to VALUES"),
        ("Version", "Version is in an answer: add its class to VALUES"),
    ],
)
def test_an_object_without_a_value_is_named(name: str, complaint: str) -> None:
    values = {other: value for other, value in VALUES.items() if other != name}
    assert unpaired_complaints(DOCUMENT, values, PUT_TOGETHER - {name}) == [complaint]


def test_an_object_of_tomorrow_is_named_wherever_it_is() -> None:
    edited = copy.deepcopy(DOCUMENT)
    schemas = edited["components"]["schemas"]
    schemas["Surprise"] = {"type": "object", "properties": {}}
    schemas["Version"]["properties"]["surprises"] = {"type": "array", "items": ref("Surprise")}
    inline = {"type": "object", "properties": {}}
    schemas["Version"]["properties"]["inline"] = inline
    assert unpaired_complaints(edited, VALUES, PUT_TOGETHER) == [
        "Surprise is in an answer: add its class to VALUES",
        "Version.inline is in an answer: add its class to VALUES",
    ]


def test_a_pair_of_no_answer_is_named() -> None:
    more = {**VALUES, "Nothing": Domain, "Version": Domain}
    assert unpaired_complaints(DOCUMENT, more, PUT_TOGETHER | {"Gone"}) == [
        "Gone is put together, and is in no answer",
        "Nothing has a value, and is in no answer",
        "Version has a value, and is put together",
    ]


SENT = serialised(handlers, "composer")


def test_every_value_that_a_handler_sends_is_held_against_a_schema() -> None:
    assert len(SENT) > 15
    assert unheld_complaints(SENT - WITH_PULL_REQUIRED, {**VALUES, **EVENTS}) == []


@pytest.mark.parametrize("value", [RegisteredNode, NodeSummary, NodeToken, SecretKey, Domain, Peer])
def test_a_value_that_is_sent_and_in_no_pair_is_named(value: type) -> None:
    left = {other: found for other, found in VALUES.items() if value not in _of(found)}
    assert f"{value.__name__} is sent: pair it in VALUES" in unheld_complaints(SENT, left)


def _of(found: type | Composed) -> tuple[type, ...]:
    return found.values if isinstance(found, Composed) else (found,)


@pytest.mark.parametrize("name", [*VALUES, *EVENTS])
def test_a_schema_and_its_value_agree(name: str) -> None:
    assert value_complaints(SCHEMAS, {**VALUES, **EVENTS}, name) == []


def test_the_bounds_of_a_bootstrap_tokens_time_are_those_of_its_schema() -> None:
    seconds = SCHEMAS["BootstrapTokenRequest"]["properties"]["ttl_seconds"]
    assert timedelta(seconds=seconds["minimum"]) == SHORTEST_LIFETIME
    assert timedelta(seconds=seconds["maximum"]) == LONGEST_LIFETIME


@pytest.mark.parametrize(
    ("schema", "edit", "complaint"),
    [
        ("NodeStatePeer", lambda s: s["properties"].pop("mesh_ip"), "no property mesh_ip"),
        ("NodeStatePeer", lambda s: s["properties"].update(psk={"type": "string"}), "in no value"),
        ("NodeStatePeer", lambda s: s["required"].append("fallback_endpoint"), "fallback_endpoint"),
        ("Domain", lambda s: s["properties"].update(owner={"type": "string"}), "in no value"),
        ("Domain", lambda s: s["required"].remove("created_at"), "Domain.created_at: None in"),
        ("AuditEntry", keyed("seq", type="string"), "AuditEntry.seq: integer, not string"),
        ("NodeSummary", lambda s: s["required"].append("name"), "NodeSummary.name: None in"),
        ("NodeSummary", lambda s: s["required"].append("mesh_ip"), "NodeSummary.mesh_ip: None in"),
        ("NodeToken", lambda s: s["properties"].pop("expires_at"), "no property expires_at"),
        ("NodeRegistration", lambda s: s["properties"].update(id={}), "id is in no value"),
        ("NodeRegistration", lambda s: s["required"].remove("mesh_ip"), "mesh_ip: None in"),
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
        *("of a list", "of a list too", "of a token", "registered", "of a registration"),
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
    assert any(complaint in line for line in complaints), complaints


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
    assert any("reachability" in complaint for complaint in complaints), complaints
