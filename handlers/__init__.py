"""What an operation *does*. ``OPERATIONS`` is the index of the service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from handlers.answers import Answer
from handlers.domain_audit import DomainAuditPorts, list_domain_audit, refuse_domain_audit
from handlers.domain_nodes import DomainNodesPorts, list_domain_nodes
from handlers.domain_registry import DomainRegistryPorts, create_domain, delete_domain
from handlers.domains import DomainPorts, get_domain, refuse_domains
from handlers.entries import (
    EntryPorts,
    ReportPorts,
    delete_node_data,
    delete_node_metadata,
    delete_node_state_report,
    put_node_data,
    put_node_metadata,
    put_node_state_report,
    refuse_entries,
    refuse_reports,
)
from handlers.heartbeat import HeartbeatPorts, post_node_heartbeat, refuse_heartbeat
from handlers.node_registry import (
    NodeRegistryPorts,
    RegistrationPorts,
    delete_node,
    refuse_nodes,
    refuse_registration,
    register_node,
    rotate_node_key,
)
from handlers.node_state import PullPorts, get_node_state, refuse_pull
from handlers.node_token import NodeTokenPorts, refuse_node_token, renew_node_token
from handlers.reachability import (
    ReachabilityPorts,
    get_node_reachability,
    refuse_reachability,
)
from handlers.service import (
    get_docs,
    get_docs_script,
    get_docs_style,
    get_health,
    get_jwks,
    get_livez,
    get_metrics,
    get_openapi,
    get_readyz,
    get_version,
)

# operationId -> function(ports, call, **declared parameters); the wiring puts the ports inside.
OPERATIONS: Mapping[str, Callable[..., Answer]] = MappingProxyType(
    {
        "GetNodeState": get_node_state,
        "GetNodeEvents": refuse_pull,  # until events exist: an agent gives up on 404, not on 501
        "PostNodeHeartbeat": post_node_heartbeat,
        "GetNodeReachability": get_node_reachability,
        "RenewNodeToken": renew_node_token,
        "DeleteNode": delete_node,
        "RotateNodeKey": rotate_node_key,
        "CreateDomain": create_domain,
        "PutNodeStateReport": put_node_state_report,
        "DeleteNodeStateReport": delete_node_state_report,
        "PutNodeMetadata": put_node_metadata,
        "DeleteNodeMetadata": delete_node_metadata,
        "PutNodeData": put_node_data,
        "DeleteNodeData": delete_node_data,
        "GetDomain": get_domain,
        "DeleteDomain": delete_domain,
        "ListDomainNodes": list_domain_nodes,
        "RegisterNode": register_node,
        "ListDomainAudit": list_domain_audit,
        "GetLivez": get_livez,
        "GetReadyz": get_readyz,
        "GetHealth": get_health,
        "GetVersion": get_version,
        "GetMetrics": get_metrics,
        "GetOpenapi": get_openapi,
        "GetJwks": get_jwks,
        "GetDocs": get_docs,
        "GetDocsScript": get_docs_script,
        "GetDocsStyle": get_docs_style,
    }
)

# Gate 0: what an operation is bound to while the ports it needs do not exist.
UNPROVISIONED: Mapping[type, Callable[[], Answer]] = MappingProxyType(
    {
        PullPorts: refuse_pull,
        HeartbeatPorts: refuse_heartbeat,
        ReachabilityPorts: refuse_reachability,
        NodeTokenPorts: refuse_node_token,
        ReportPorts: refuse_reports,
        EntryPorts: refuse_entries,
        DomainPorts: refuse_domains,
        DomainRegistryPorts: refuse_domains,
        DomainNodesPorts: refuse_domains,
        NodeRegistryPorts: refuse_nodes,
        RegistrationPorts: refuse_registration,
        DomainAuditPorts: refuse_domain_audit,
    }
)
