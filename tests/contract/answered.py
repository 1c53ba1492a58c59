"""Requests that make each operation show every answer it has: one row an operation.

`test_drift_answers.py` sends them to the real handlers on fakes and holds what they give against
the contract: each declared key has to come, each that is not required to be left out once, each
word of an enum to be said. An operation that answers with no JSON has the row ``nothing``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from composer.bridge import BridgeRows
from composer.reachability import ReachabilityRow
from composer.registry import NodeSummary
from handlers.service import HealthCheck
from server.authn.signing import parse_signing_keys
from tests.bodies import JSON, body_now
from tests.factories import (
    ALLOW_HTTPS,
    DENY_ALL_6,
    DOMAIN,
    EPOCH,
    bridge_rows,
    entry,
    ingress_rule,
    node_id,
    peer_row,
    rule_set,
)
from tests.ports.domain_audit_reader import record
from tests.tokens import dumps, ed25519_key, es256_key, rs256_key

if TYPE_CHECKING:
    from tests.ports.in_process import FakeService

Asking = Callable[["FakeService"], object]
Query = Mapping[str, str]
NODE = f"/v1/nodes/{node_id(1)}"
IN_DOMAIN = f"/v1/domains/{DOMAIN}"


def nothing(service: FakeService) -> None:
    """Texts, files and empty answers have no keys."""


def got(path: str, query: Query | None = None) -> Asking:
    return lambda service: service.ask(path, 1, query_string=query)


def sent(
    operation_id: str, method: str, path: str, again: bool = False, query: Query | None = None
) -> Asking:
    """The contract's first example of a body; ``again`` with the key of the first time."""

    def ask(service: FakeService) -> None:
        headers = {**JSON, **({"Idempotency-Key": "once"} if again else {})}
        data = body_now(operation_id)
        for _ in range(1 + again):
            service.ask(path, 1, method, data=data, headers=headers, query_string=query)

    return ask


def pulled(service: FakeService) -> None:
    """A Node that has everything, one that is a bridge for nothing, and one that has nothing."""
    bare = service.ledger.shown
    rows = (
        peer_row(1),
        peer_row(2, relay_host="relay.example.net", relay_port=51821),
        peer_row(3),
    )
    table = replace(bare.table, rows=rows, revision=node_id(9))
    full = replace(
        bare,
        table=table,
        rule_sets=(rule_set(1, ALLOW_HTTPS, DENY_ALL_6),),
        bridge_rows=bridge_rows(
            ingress_rules=(ingress_rule(), ingress_rule("blog", acme_account_ref=None))
        ),
        entry_rows=tuple(
            one
            for kind in ("metadata", "data", "report")
            for one in (entry(kind, "a"), entry(kind, "b", workload_tag="agent"))
        ),
    )
    hollow = replace(full, bridge_rows=BridgeRows())
    for service.ledger.shown in (bare, full, hollow):
        service.pull()


def verdicts(service: FakeService) -> None:
    for state in ("healthy", "stale", "unreachable", ""):
        service.reachability.rows[node_id(1)] = ReachabilityRow(state, EPOCH, EPOCH)
        service.ask(f"{NODE}/reachability", 1)


def domains(service: FakeService) -> None:
    """As the service makes them, and as a hand may have put one into the ledger."""
    row = service.domain_reader.rows[DOMAIN]
    bare = replace(row, slug=None, description=None, region=None, mesh_cidr=None)
    for one in (bare, replace(row, description="Presses.", region="eu")):
        service.domain_reader.rows[DOMAIN] = one
        service.ask(IN_DOMAIN, 1)


def nodes(service: FakeService) -> None:
    service.domain_nodes.put(DOMAIN, node_id(1), "10.42.0.1")
    service.domain_nodes.given[DOMAIN].append(NodeSummary(node_id(2), "press", None, EPOCH))
    for limit in (1, 2):
        service.ask(f"{IN_DOMAIN}/nodes", 1, query_string={"limit": limit})


def trail(service: FakeService) -> None:
    service.domain_audit.rows[DOMAIN] = [record(1), record(2, digest=None)]
    for limit in (1, 2):
        service.ask(f"{IN_DOMAIN}/audit", 1, query_string={"limit": limit})


def checked(path: str) -> Asking:
    """A dependency in each condition."""

    def ask(service: FakeService) -> None:
        for status in ("ok", "degraded", "down"):
            service.health.given = [HealthCheck("postgres", status, "said")]
            service.ask(path)

    return ask


def published(service: FakeService) -> None:
    """Keys of every kind, as the service shows its own."""
    keys = [make().private_jwk for make in (ed25519_key, es256_key, rs256_key)]
    members = parse_signing_keys(dumps({"keys": keys})).members
    service.published.given = [dict(one.public_jwk) for one in members]
    service.ask("/.well-known/jwks.json")


ANSWERED: Mapping[str, Asking] = {
    "GetNodeState": pulled,
    "GetNodeEvents": nothing,
    "PostNodeHeartbeat": sent("PostNodeHeartbeat", "POST", f"{NODE}/heartbeat"),
    "GetNodeReachability": verdicts,
    "RenewNodeToken": lambda service: service.ask(f"{NODE}/token", 1, "POST"),
    "RotateNodeSecretKey": lambda service: service.ask(f"{NODE}/secret-key", 1, "POST"),
    "RevokeNodeCredentials": nothing,
    "DeleteNode": nothing,
    "RotateNodeKey": sent("RotateNodeKey", "PUT", f"{NODE}/public-key"),
    "CreateDomain": sent("CreateDomain", "POST", "/v1/domains", again=True),
    "GetDomain": domains,
    "DeleteDomain": nothing,
    "ListDomainNodes": nodes,
    "RegisterNode": sent("RegisterNode", "POST", f"{IN_DOMAIN}/nodes", again=True),
    "ListDomainAudit": trail,
    "PutNodeStateReport": sent("PutNodeStateReport", "PUT", f"{NODE}/state/reports/disk"),
    "DeleteNodeStateReport": nothing,
    "PutNodeMetadata": sent("PutNodeMetadata", "PUT", f"{NODE}/state/metadata/rack"),
    "DeleteNodeMetadata": nothing,
    "PutNodeData": sent("PutNodeData", "PUT", f"{NODE}/state/data/dns"),
    "DeleteNodeData": nothing,
    "GetLivez": got("/livez"),
    "GetReadyz": checked("/readyz"),
    "GetHealth": checked("/v1/health"),
    "GetVersion": got("/v1/version"),
    "GetMetrics": nothing,
    "GetOpenapi": nothing,
    "GetJwks": published,
    "GetDocs": nothing,
    "GetDocsScript": nothing,
    "GetDocsStyle": nothing,
}
