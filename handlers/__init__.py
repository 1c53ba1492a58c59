"""What each operation *does*. ``OPERATIONS`` is the index of the service."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from composer.entries import DATA, METADATA, REPORT, VALUE_MAX_BYTES
from handlers import refusals, service
from handlers.answers import NOT_STORED, PRIVATE
from handlers.domain_audit import audit_page, list_domain_audit
from handlers.domains import (
    create_domain,
    delete_domain,
    get_domain,
    list_domain_nodes,
    new_domain,
    nodes_page,
)
from handlers.entries import delete_entry, entry_of, key_of, put_entry
from handlers.heartbeat import client_now, post_node_heartbeat
from handlers.node_state import get_node_state
from handlers.node_token import renew_node_token
from handlers.nodes import delete_node, new_key, new_node, register_node, rotate_node_key
from handlers.operation import AnyOperation, OpenOperation, Operation, Records, UnservedOperation
from handlers.reachability import get_node_reachability
from handlers.refusals import BodyRefusals
from handlers.ways import (
    AS_AGENT,
    AS_AGENT_OF_A_WRITE,
    AS_AUDITOR,
    AS_DOMAIN_EDITOR,
    AS_DOMAIN_VIEWER,
    AS_EDITOR,
    AS_MANAGER,
    AS_THE_NODE,
    AS_VIEWER,
    MANAGING_DOMAIN,
)

_ENTRY_VALUE = {"value": VALUE_MAX_BYTES}
_REPORT_BODY = BodyRefusals(refusals.INVALID_REPORT, max_bytes=_ENTRY_VALUE)
_ENTRY_BODY = BodyRefusals(refusals.INVALID_ENTRY, max_bytes=_ENTRY_VALUE)
_REPORT_KEY = {"key": refusals.INVALID_REPORT}

OPERATIONS: Mapping[str, AnyOperation] = MappingProxyType(
    {
        "GetNodeState": Operation(
            does=get_node_state,
            way=AS_AGENT,
            record="node_state.pull",
            not_provisioned=refusals.NOT_PROVISIONED,
            statuses=(200, 304),
            headers=PRIVATE,
            sends=("ETag",),
        ),
        # An agent gives up on a 404 and asks again after a 501.
        "GetNodeEvents": UnservedOperation(not_provisioned=refusals.NOT_PROVISIONED),
        "PostNodeHeartbeat": Operation(
            does=post_node_heartbeat,
            way=AS_AGENT_OF_A_WRITE,
            wants=client_now,
            record="node.heartbeat",
            records=Records.REFUSALS,
            not_provisioned=refusals.HEARTBEAT_NOT_PROVISIONED,
            refuses=(refusals.CLOCK_SKEW,),
            body=BodyRefusals(
                refusals.MALFORMED_HEARTBEAT_REQUEST,
                empty={
                    "binary_checksum": refusals.BINARY_CHECKSUM_EMPTY,
                    "binary_version": refusals.BINARY_VERSION_EMPTY,
                },
            ),
        ),
        "GetNodeReachability": Operation(
            does=get_node_reachability,
            way=AS_VIEWER,
            record="node_reachability.read",
            not_provisioned=refusals.REACHABILITY_NOT_PROVISIONED,
            headers=PRIVATE,
        ),
        "RenewNodeToken": Operation(
            does=renew_node_token,
            way=AS_THE_NODE,
            record="node.token",
            not_provisioned=refusals.TOKEN_SIGNING_NOT_PROVISIONED,
            needs_signing_key=True,
            headers=NOT_STORED,
        ),
        "DeleteNode": Operation(
            does=delete_node,
            way=AS_EDITOR,
            record="node.deregister",
            records=Records.WRITES,
            not_provisioned=refusals.NODES_NOT_PROVISIONED,
            statuses=(204,),
        ),
        "RotateNodeKey": Operation(
            does=rotate_node_key,
            way=AS_AGENT,
            wants=new_key,
            record="node.rotate_key",
            records=Records.WRITES,
            not_provisioned=refusals.NODES_NOT_PROVISIONED,
            refuses=(refusals.PUBLIC_KEY_IN_USE,),
            body=BodyRefusals(
                refusals.INVALID_BODY,
                missing=refusals.PUBLIC_KEY_INVALID,
                members={"public_key": refusals.PUBLIC_KEY_INVALID},
            ),
        ),
        "PutNodeStateReport": Operation(
            does=put_entry,
            way=AS_AGENT,
            wants=entry_of(REPORT),
            record="node_report.put",
            not_provisioned=refusals.REPORTS_NOT_PROVISIONED,
            refuses=(refusals.REPORT_QUOTA_EXCEEDED,),
            body=_REPORT_BODY,
            parameters=_REPORT_KEY,
        ),
        "DeleteNodeStateReport": Operation(
            does=delete_entry,
            way=AS_AGENT,
            wants=key_of(REPORT),
            record="node_report.delete",
            not_provisioned=refusals.REPORTS_NOT_PROVISIONED,
            statuses=(204,),
            refuses=(refusals.REPORT_NOT_FOUND,),
            parameters=_REPORT_KEY,
        ),
        "PutNodeMetadata": Operation(
            does=put_entry,
            way=AS_EDITOR,
            wants=entry_of(METADATA),
            record="node_metadata.put",
            not_provisioned=refusals.ENTRIES_NOT_PROVISIONED,
            refuses=(refusals.ENTRY_QUOTA_EXCEEDED,),
            body=_ENTRY_BODY,
        ),
        "DeleteNodeMetadata": Operation(
            does=delete_entry,
            way=AS_EDITOR,
            wants=key_of(METADATA),
            record="node_metadata.delete",
            not_provisioned=refusals.ENTRIES_NOT_PROVISIONED,
            statuses=(204,),
            refuses=(refusals.ENTRY_NOT_FOUND,),
        ),
        "PutNodeData": Operation(
            does=put_entry,
            way=AS_EDITOR,
            wants=entry_of(DATA),
            record="node_data.put",
            not_provisioned=refusals.ENTRIES_NOT_PROVISIONED,
            refuses=(refusals.ENTRY_QUOTA_EXCEEDED,),
            body=_ENTRY_BODY,
        ),
        "DeleteNodeData": Operation(
            does=delete_entry,
            way=AS_EDITOR,
            wants=key_of(DATA),
            record="node_data.delete",
            not_provisioned=refusals.ENTRIES_NOT_PROVISIONED,
            statuses=(204,),
            refuses=(refusals.ENTRY_NOT_FOUND,),
        ),
        "CreateDomain": Operation(
            does=create_domain,
            way=AS_MANAGER,
            wants=new_domain,
            record="domain.create",
            record_of_repeat="domain.create_again",
            records=Records.WRITES,
            not_provisioned=refusals.DOMAINS_NOT_PROVISIONED,
            statuses=(200, 201),
            sends=("Location",),
            refuses=(
                refusals.DOMAIN_SLUG_CONFLICT,
                refusals.MESH_CIDR_OVERLAP,
                refusals.IDEMPOTENCY_KEY_CONFLICT,
            ),
            body=BodyRefusals(
                refusals.INVALID_BODY,
                missing=refusals.INVALID_DOMAIN,
                members={
                    "name": refusals.INVALID_DOMAIN,
                    "slug": refusals.INVALID_DOMAIN,
                    "mesh_cidr": refusals.INVALID_DOMAIN,
                    "description": refusals.INVALID_DOMAIN,
                    "region": refusals.INVALID_DOMAIN,
                    "reachability": refusals.INVALID_REACHABILITY_POLICY,
                },
                too_large=refusals.REQUEST_BODY_TOO_LARGE,
            ),
        ),
        "GetDomain": Operation(
            does=get_domain,
            way=AS_DOMAIN_VIEWER,
            record="domain.read",
            not_provisioned=refusals.DOMAINS_NOT_PROVISIONED,
            headers=PRIVATE,
        ),
        "DeleteDomain": Operation(
            does=delete_domain,
            way=MANAGING_DOMAIN,
            record="domain.delete",
            records=Records.WRITES,
            not_provisioned=refusals.DOMAINS_NOT_PROVISIONED,
            statuses=(204,),
            refuses=(refusals.DOMAIN_NOT_EMPTY,),
        ),
        "ListDomainNodes": Operation(
            does=list_domain_nodes,
            way=AS_DOMAIN_VIEWER,
            wants=nodes_page,
            record="domain.list_nodes",
            not_provisioned=refusals.DOMAINS_NOT_PROVISIONED,
            headers=PRIVATE,
        ),
        "RegisterNode": Operation(
            does=register_node,
            way=AS_DOMAIN_EDITOR,
            wants=new_node,
            record="node.register",
            record_of_repeat="node.register_again",
            records=Records.WRITES,
            not_provisioned=refusals.REGISTRATION_NOT_PROVISIONED,
            needs_signing_key=True,
            statuses=(200, 201),
            headers=NOT_STORED,
            refuses=(refusals.IDEMPOTENCY_KEY_CONFLICT, refusals.POOL_EXHAUSTED),
            body=BodyRefusals(
                refusals.INVALID_BODY,
                missing=refusals.PUBLIC_KEY_INVALID,
                members={"public_key": refusals.PUBLIC_KEY_INVALID},
                too_large=refusals.REQUEST_BODY_TOO_LARGE,
            ),
        ),
        "ListDomainAudit": Operation(
            does=list_domain_audit,
            way=AS_AUDITOR,
            wants=audit_page,
            record="domain_audit.read",
            not_provisioned=refusals.AUDIT_NOT_PROVISIONED,
            headers=PRIVATE,
        ),
        "GetLivez": OpenOperation(does=service.get_livez),
        "GetReadyz": OpenOperation(does=service.get_readyz, statuses=(200, 503)),
        "GetHealth": OpenOperation(does=service.get_health, statuses=(200, 503)),
        "GetVersion": OpenOperation(does=service.get_version),
        "GetMetrics": OpenOperation(does=service.get_metrics),
        "GetOpenapi": OpenOperation(does=service.get_openapi),
        "GetJwks": OpenOperation(does=service.get_jwks, headers=service.KEYS_HEADERS),
        "GetDocs": OpenOperation(does=service.get_docs, headers=service.PAGE_HEADERS),
        "GetDocsScript": OpenOperation(
            does=service.get_docs_script,
            statuses=(200, 304),
            headers=service.ASSET_HEADERS,
            sends=("ETag",),
        ),
        "GetDocsStyle": OpenOperation(
            does=service.get_docs_style,
            statuses=(200, 304),
            headers=service.ASSET_HEADERS,
            sends=("ETag",),
        ),
    }
)
