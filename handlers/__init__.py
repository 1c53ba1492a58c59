"""``OPERATIONS``: every operation of the service by its operationId, with all its facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from composer.entries import DATA, METADATA, REPORT, VALUE_MAX_BYTES
from composer.limits import Limit
from handlers import domains, refusals, service
from handlers.answers import NOT_STORED, PRIVATE, Answer
from handlers.audit import audit_page, list_domain_audit
from handlers.credentials import revoke_node_credentials, rotate_node_secret_key
from handlers.enrolment import enrol_node, issue_bootstrap_token, new_enrolment, new_token
from handlers.entries import delete_entry, entry_of, key_of, put_entry
from handlers.heartbeat import client_now, post_node_heartbeat
from handlers.node_events import STREAM_HEADERS, get_node_events
from handlers.node_state import (
    POSITION_HEADER,
    STALE_HEADER,
    get_last_node_state,
    get_node_state,
)
from handlers.node_token import renew_node_token
from handlers.nodes import delete_node, new_key, new_node, register_node, rotate_node_key
from handlers.operation import AnyOperation, AuditedGrants, OpenOperation, Operation
from handlers.ports import OptionalPort
from handlers.reachability import get_node_reachability
from handlers.refusals import BodyRefusals
from handlers.ways import (
    AS_AGENT,
    AS_AGENT_WITHOUT_LOOKUP,
    AS_AUDITOR,
    AS_DOMAIN_EDITOR,
    AS_DOMAIN_VIEWER,
    AS_EDITOR,
    AS_ENROLLING,
    AS_MANAGER,
    AS_MANAGER_OF_DOMAIN,
    AS_PULLING_AGENT,
    AS_THE_NODE,
    AS_VIEWER,
    AS_VIEWER_OF_ANY_DOMAIN,
)

_ENTRY_VALUE = {"value": VALUE_MAX_BYTES}
_REPORT_BODY = BodyRefusals(refusals.INVALID_REPORT, max_bytes=_ENTRY_VALUE)
_REPORT_KEY = {"key": refusals.INVALID_REPORT}
_DOMAIN_MEMBERS = {
    **dict.fromkeys(("name", "description", "region"), refusals.INVALID_DOMAIN),
    "reachability": refusals.INVALID_REACHABILITY_POLICY,
}


def _put_entry(kind: str) -> Operation:
    """The operation that puts metadata or data, which have the same facts."""
    return Operation(
        handler=put_entry,
        way=AS_EDITOR,
        parse=entry_of(kind),
        audit_name=f"node_{kind}.put",
        audited_grants=AuditedGrants.WRITES,
        not_provisioned=refusals.ENTRIES_NOT_PROVISIONED,
        refusals=(refusals.ENTRY_QUOTA_EXCEEDED,),
        body_refusals=BodyRefusals(refusals.INVALID_ENTRY, max_bytes=_ENTRY_VALUE),
    )


def _delete_entry(kind: str) -> Operation:
    return Operation(
        handler=delete_entry,
        way=AS_EDITOR,
        parse=key_of(kind),
        audit_name=f"node_{kind}.delete",
        audited_grants=AuditedGrants.WRITES,
        not_provisioned=refusals.ENTRIES_NOT_PROVISIONED,
        statuses=(204,),
        refusals=(refusals.ENTRY_NOT_FOUND,),
    )


def _asset(handler: Callable[..., Answer]) -> OpenOperation:
    return OpenOperation(
        handler=handler,
        statuses=(200, 304),
        headers=service.ASSET_HEADERS,
        sent_headers=("ETag",),
    )


OPERATIONS: Mapping[str, AnyOperation] = MappingProxyType(
    {
        "GetNodeState": Operation(
            handler=get_node_state,
            way=AS_PULLING_AGENT,
            audit_name="node_state.pull",
            not_provisioned=refusals.NOT_PROVISIONED,
            statuses=(200, 304),
            headers=PRIVATE,
            sent_headers=("ETag", POSITION_HEADER, STALE_HEADER),
            without_ledger=get_last_node_state,
        ),
        "GetNodeSnapshot": Operation(
            handler=get_node_state,
            way=AS_VIEWER,
            audit_name="node_snapshot.view",
            not_provisioned=refusals.NODES_NOT_PROVISIONED,
            statuses=(200, 304),
            headers=PRIVATE,
            sent_headers=("ETag", POSITION_HEADER),
        ),
        # Without the bus a 501 and no 404: an agent tries again after a 501, but not after a 404.
        "GetNodeEvents": Operation(
            handler=get_node_events,
            way=AS_AGENT,
            audit_name="node_events.subscribe",
            not_provisioned=refusals.NOT_PROVISIONED,
            needs=OptionalPort.EVENTS,
            headers=STREAM_HEADERS,
            refusals=(refusals.EVENT_STREAM_UNAVAILABLE,),
        ),
        "PostNodeHeartbeat": Operation(
            handler=post_node_heartbeat,
            way=AS_AGENT_WITHOUT_LOOKUP,
            parse=client_now,
            audit_name="node.heartbeat",
            audited_grants=AuditedGrants.NONE,
            not_provisioned=refusals.HEARTBEAT_NOT_PROVISIONED,
            refusals=(refusals.CLOCK_SKEW,),
            body_refusals=BodyRefusals(
                refusals.MALFORMED_HEARTBEAT_REQUEST,
                empty={
                    "binary_checksum": refusals.BINARY_CHECKSUM_EMPTY,
                    "binary_version": refusals.BINARY_VERSION_EMPTY,
                },
            ),
        ),
        "GetNodeReachability": Operation(
            handler=get_node_reachability,
            way=AS_VIEWER,
            audit_name="node_reachability.read",
            not_provisioned=refusals.REACHABILITY_NOT_PROVISIONED,
            headers=PRIVATE,
        ),
        "RenewNodeToken": Operation(
            handler=renew_node_token,
            way=AS_THE_NODE,
            audit_name="node.token",
            audited_grants=AuditedGrants.WRITES,
            not_provisioned=refusals.TOKEN_SIGNING_NOT_PROVISIONED,
            needs=OptionalPort.MINT,
            headers=NOT_STORED,
        ),
        "RotateNodeSecretKey": Operation(
            handler=rotate_node_secret_key,
            way=AS_THE_NODE,
            audit_name="node.rotate_secret_key",
            limit=Limit.SECRET_KEY_ROTATIONS,
            audited_grants=AuditedGrants.WRITES,
            not_provisioned=refusals.CREDENTIALS_NOT_PROVISIONED,
            headers=NOT_STORED,
        ),
        "RevokeNodeCredentials": Operation(
            handler=revoke_node_credentials,
            way=AS_EDITOR,
            audit_name="node.revoke_credentials",
            audited_grants=AuditedGrants.WRITES,
            not_provisioned=refusals.CREDENTIALS_NOT_PROVISIONED,
            statuses=(204,),
        ),
        "DeleteNode": Operation(
            handler=delete_node,
            way=AS_EDITOR,
            audit_name="node.deregister",
            audited_grants=AuditedGrants.WRITES,
            not_provisioned=refusals.NODES_NOT_PROVISIONED,
            statuses=(204,),
        ),
        "RotateNodeKey": Operation(
            handler=rotate_node_key,
            way=AS_AGENT,
            parse=new_key,
            audit_name="node.rotate_key",
            limit=Limit.KEY_ROTATIONS,
            repeat_by=bytes,
            audited_grants=AuditedGrants.WRITES,
            not_provisioned=refusals.NODES_NOT_PROVISIONED,
            refusals=(refusals.PUBLIC_KEY_IN_USE,),
            body_refusals=BodyRefusals(
                refusals.INVALID_BODY,
                members={"public_key": refusals.PUBLIC_KEY_INVALID},
            ),
        ),
        "PutNodeStateReport": Operation(
            handler=put_entry,
            way=AS_AGENT,
            parse=entry_of(REPORT),
            audit_name="node_report.put",
            audited_grants=AuditedGrants.WRITES,
            not_provisioned=refusals.REPORTS_NOT_PROVISIONED,
            refusals=(refusals.REPORT_QUOTA_EXCEEDED,),
            body_refusals=_REPORT_BODY,
            parameter_refusals=_REPORT_KEY,
        ),
        "DeleteNodeStateReport": Operation(
            handler=delete_entry,
            way=AS_AGENT,
            parse=key_of(REPORT),
            audit_name="node_report.delete",
            audited_grants=AuditedGrants.WRITES,
            not_provisioned=refusals.REPORTS_NOT_PROVISIONED,
            statuses=(204,),
            refusals=(refusals.REPORT_NOT_FOUND,),
            parameter_refusals=_REPORT_KEY,
        ),
        "PutNodeMetadata": _put_entry(METADATA),
        "DeleteNodeMetadata": _delete_entry(METADATA),
        "PutNodeData": _put_entry(DATA),
        "DeleteNodeData": _delete_entry(DATA),
        "CreateDomain": Operation(
            handler=domains.create_domain,
            way=AS_MANAGER,
            parse=domains.new_domain,
            audit_name="domain.create",
            audit_name_of_repeat="domain.create_again",
            audited_grants=AuditedGrants.WRITES,
            not_provisioned=refusals.DOMAINS_NOT_PROVISIONED,
            statuses=(200, 201),
            sent_headers=("Location",),
            refusals=(
                refusals.DOMAIN_SLUG_CONFLICT,
                refusals.MESH_CIDR_OVERLAP,
                refusals.IDEMPOTENCY_KEY_CONFLICT,
            ),
            body_refusals=BodyRefusals(
                refusals.INVALID_BODY,
                members={
                    **_DOMAIN_MEMBERS,
                    "slug": refusals.INVALID_DOMAIN,
                    "mesh_cidr": refusals.INVALID_DOMAIN,
                },
                too_large=refusals.REQUEST_BODY_TOO_LARGE,
            ),
        ),
        "ListDomains": Operation(
            handler=domains.list_domains,
            way=AS_VIEWER_OF_ANY_DOMAIN,
            parse=domains.domains_page,
            audit_name="domain.list",
            not_provisioned=refusals.DOMAINS_NOT_PROVISIONED,
            headers=PRIVATE,
        ),
        "GetDomain": Operation(
            handler=domains.get_domain,
            way=AS_DOMAIN_VIEWER,
            audit_name="domain.read",
            not_provisioned=refusals.DOMAINS_NOT_PROVISIONED,
            headers=PRIVATE,
        ),
        "PatchDomain": Operation(
            handler=domains.patch_domain,
            way=AS_DOMAIN_EDITOR,
            parse=domains.domain_change,
            audit_name="domain.update",
            audited_grants=AuditedGrants.WRITES,
            not_provisioned=refusals.DOMAINS_NOT_PROVISIONED,
            body_refusals=BodyRefusals(
                refusals.INVALID_BODY,
                members={
                    **_DOMAIN_MEMBERS,
                    "slug": refusals.SLUG_IMMUTABLE,
                    "": refusals.EMPTY_PATCH,
                },
                too_large=refusals.REQUEST_BODY_TOO_LARGE,
            ),
        ),
        "DeleteDomain": Operation(
            handler=domains.delete_domain,
            way=AS_MANAGER_OF_DOMAIN,
            audit_name="domain.delete",
            audited_grants=AuditedGrants.WRITES,
            not_provisioned=refusals.DOMAINS_NOT_PROVISIONED,
            statuses=(204,),
            refusals=(refusals.DOMAIN_NOT_EMPTY,),
        ),
        "ListDomainNodes": Operation(
            handler=domains.list_domain_nodes,
            way=AS_DOMAIN_VIEWER,
            parse=domains.nodes_page,
            audit_name="domain.list_nodes",
            not_provisioned=refusals.DOMAINS_NOT_PROVISIONED,
            headers=PRIVATE,
        ),
        "ListNodes": Operation(
            handler=domains.list_nodes,
            way=AS_VIEWER_OF_ANY_DOMAIN,
            parse=domains.all_nodes_page,
            audit_name="node.list",
            not_provisioned=refusals.DOMAINS_NOT_PROVISIONED,
            headers=PRIVATE,
        ),
        "RegisterNode": Operation(
            handler=register_node,
            way=AS_DOMAIN_EDITOR,
            parse=new_node,
            audit_name="node.register",
            limit=Limit.REGISTRATIONS,
            audit_name_of_repeat="node.register_again",
            audited_grants=AuditedGrants.WRITES,
            not_provisioned=refusals.REGISTRATION_NOT_PROVISIONED,
            needs=OptionalPort.MINT,
            statuses=(200, 201),
            headers=NOT_STORED,
            refusals=(
                refusals.IDEMPOTENCY_KEY_CONFLICT,
                refusals.PUBLIC_KEY_REGISTERED,
                refusals.NODE_QUOTA_EXCEEDED,
                refusals.POOL_EXHAUSTED,
            ),
            body_refusals=BodyRefusals(
                refusals.INVALID_BODY,
                members={"public_key": refusals.PUBLIC_KEY_INVALID},
                too_large=refusals.REQUEST_BODY_TOO_LARGE,
            ),
        ),
        "IssueBootstrapToken": Operation(
            handler=issue_bootstrap_token,
            way=AS_DOMAIN_EDITOR,
            parse=new_token,
            audit_name="bootstrap_token.issue",
            audited_grants=AuditedGrants.WRITES,
            not_provisioned=refusals.BOOTSTRAP_TOKENS_NOT_PROVISIONED,
            limit=Limit.BOOTSTRAP_TOKENS,
            statuses=(201,),
            headers=NOT_STORED,
            body_refusals=BodyRefusals(
                refusals.INVALID_BODY, too_large=refusals.REQUEST_BODY_TOO_LARGE
            ),
        ),
        "PostRegister": Operation(
            handler=enrol_node,
            way=AS_ENROLLING,
            parse=new_enrolment,
            audit_name="node.enrol",
            audited_grants=AuditedGrants.WRITES,
            not_provisioned=refusals.REGISTRATION_NOT_PROVISIONED,
            needs=OptionalPort.EVENT_KEYS,
            limit=Limit.ENROLMENTS,
            statuses=(201,),
            headers=NOT_STORED,
            refusals=(
                refusals.BOOTSTRAP_TOKEN_INVALID,
                refusals.KIND_MISMATCH,
                refusals.TOKEN_REVOKED,
                refusals.PROJECT_MISMATCH,
                refusals.NONCE_COLLISION,
                refusals.TOKEN_CONSUMED,
                refusals.TOKEN_EXPIRED,
                refusals.RESOURCE_NOT_FOUND,
                refusals.PUBLIC_KEY_REGISTERED,
                refusals.NODE_QUOTA_EXCEEDED,
                refusals.POOL_EXHAUSTED,
            ),
            body_refusals=BodyRefusals(
                refusals.INVALID_BODY,
                members={
                    "public_key": refusals.PUBLIC_KEY_INVALID,
                    "bootstrap_token": refusals.BOOTSTRAP_TOKEN_INVALID,
                    **dict.fromkeys(
                        ("project_id", "resource_handle", "nonce", "requested_resource_id"),
                        refusals.INVARIANT_VIOLATION,
                    ),
                },
                too_large=refusals.REQUEST_BODY_TOO_LARGE,
            ),
        ),
        "ListDomainAudit": Operation(
            handler=list_domain_audit,
            way=AS_AUDITOR,
            parse=audit_page,
            audit_name="domain_audit.read",
            not_provisioned=refusals.AUDIT_NOT_PROVISIONED,
            headers=PRIVATE,
        ),
        "GetLivez": OpenOperation(handler=service.get_livez),
        "GetReadyz": OpenOperation(handler=service.get_readyz, statuses=(200, 503)),
        "GetHealth": OpenOperation(handler=service.get_health, statuses=(200, 503)),
        "GetVersion": OpenOperation(handler=service.get_version),
        "GetMetrics": OpenOperation(handler=service.get_metrics),
        "GetOpenapi": OpenOperation(handler=service.get_openapi, headers=service.CONTRACT_HEADERS),
        "GetOpenapiJson": OpenOperation(handler=service.get_openapi_json),
        "GetJwks": OpenOperation(handler=service.get_jwks, headers=service.KEYS_HEADERS),
        "GetDocs": OpenOperation(handler=service.get_docs, headers=service.PAGE_HEADERS),
        "GetDocsScript": _asset(service.get_docs_script),
        "GetDocsStyle": _asset(service.get_docs_style),
    }
)
