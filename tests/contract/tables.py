"""Coverage tables: one line an operation. A test fails on an operation that is in none of them.

``AUTHN`` is what a request without a Principal gets; ``AUTHZ`` the relation asked for;
``AUDIT`` the outcomes that leave a row; ``REACHED`` the least share of a fuzzer's valid cases that
must end in a 2xx or 304 (None where the operation has no such answer). How an operation is attacked
is in ``attacked.py``.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.contract.attacked import ATTACKED

AUTHN: Mapping[str, int] = {
    "GetNodeState": 401,
    "GetNodeEvents": 501,
    "PostNodeHeartbeat": 401,
    "GetNodeReachability": 401,
    "RenewNodeToken": 401,
    "DeleteNode": 401,
    "RotateNodeKey": 401,
    "CreateDomain": 401,
    "GetDomain": 401,
    "DeleteDomain": 401,
    "ListDomainNodes": 401,
    "RegisterNode": 401,
    "ListDomainAudit": 401,
    "GetLivez": 200,
    "GetReadyz": 200,
    "GetHealth": 200,
    "GetVersion": 200,
    "GetMetrics": 200,
    "GetOpenapi": 200,
    "GetJwks": 200,
    "GetDocs": 200,
    "GetDocsScript": 200,
    "GetDocsStyle": 200,
}

AUTHZ: Mapping[str, str | None] = {
    "GetNodeState": "node-agent",
    "GetNodeEvents": None,
    "PostNodeHeartbeat": "node-agent",
    "GetNodeReachability": "node-agent",
    "RenewNodeToken": "node-agent",
    "DeleteNode": "domain-edit",
    "RotateNodeKey": "node-agent",
    "CreateDomain": "manage",
    "GetDomain": "domain-view",
    "DeleteDomain": "manage",
    "ListDomainNodes": "domain-view",
    "RegisterNode": "domain-edit",
    "ListDomainAudit": "auditor",
    "GetLivez": None,
    "GetReadyz": None,
    "GetHealth": None,
    "GetVersion": None,
    "GetMetrics": None,
    "GetOpenapi": None,
    "GetJwks": None,
    "GetDocs": None,
    "GetDocsScript": None,
    "GetDocsStyle": None,
}

AUDIT: Mapping[str, tuple[str, ...]] = {
    "GetNodeState": ("granted", "insufficient_relation"),
    "GetNodeEvents": (),
    "PostNodeHeartbeat": ("insufficient_relation",),
    "GetNodeReachability": ("granted", "insufficient_relation"),
    "RenewNodeToken": ("granted", "insufficient_relation"),
    "DeleteNode": ("granted", "insufficient_relation"),
    "RotateNodeKey": ("granted", "insufficient_relation"),
    "CreateDomain": ("granted", "insufficient_relation"),
    "GetDomain": ("granted", "insufficient_relation"),
    "DeleteDomain": ("granted", "insufficient_relation"),
    "ListDomainNodes": ("granted", "insufficient_relation"),
    "RegisterNode": ("granted", "insufficient_relation"),
    "ListDomainAudit": ("granted", "insufficient_relation"),
    "GetLivez": (),
    "GetReadyz": (),
    "GetHealth": (),
    "GetVersion": (),
    "GetMetrics": (),
    "GetOpenapi": (),
    "GetJwks": (),
    "GetDocs": (),
    "GetDocsScript": (),
    "GetDocsStyle": (),
}

REACHED: Mapping[str, float | None] = {
    "GetNodeState": 0.5,
    "GetNodeEvents": None,
    "PostNodeHeartbeat": 0.2,
    "GetNodeReachability": 0.5,
    "RenewNodeToken": 0.5,
    "DeleteNode": 0.5,
    "RotateNodeKey": 0.5,
    "CreateDomain": 0.5,
    "GetDomain": 0.5,
    "DeleteDomain": 0.5,
    "ListDomainNodes": 0.5,
    "RegisterNode": 0.5,
    "ListDomainAudit": 0.5,
    "GetLivez": 0.5,
    "GetReadyz": 0.5,
    "GetHealth": 0.5,
    "GetVersion": 0.5,
    "GetMetrics": 0.5,
    "GetOpenapi": 0.5,
    "GetJwks": 0.5,
    "GetDocs": 0.5,
    "GetDocsScript": 0.5,
    "GetDocsStyle": 0.5,
}

TABLES: Mapping[str, Mapping[str, object]] = {
    "authn": AUTHN,
    "authz": AUTHZ,
    "audit": AUDIT,
    "fuzz": REACHED,
    "attack": ATTACKED,
}
