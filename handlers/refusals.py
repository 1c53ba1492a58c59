"""Every refusal, and the table from errors to refusals.

A refusal has an outside, which is the fixed text of its kind, and an inside for the log. A test
compares codes, statuses and details with ``api/plexsphere-v1.yaml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from math import ceil

from composer.errors import (
    AuthzUnavailable,
    BootstrapTokenInvalid,
    ClockSkew,
    CredentialEnded,
    DatastoreUnavailable,
    DomainNotEmpty,
    DomainNotFound,
    DomainSlugConflict,
    EntryNotFound,
    EntryQuotaExceeded,
    EventStreamUnavailable,
    IdempotencyKeyConflict,
    KeysUnavailable,
    LedgerBehind,
    MeshCidrOverlap,
    NodeNotFound,
    NodeQuotaExceeded,
    NonceCollision,
    PoolExhausted,
    ProjectMismatch,
    PublicKeyInUse,
    PublicKeyRegistered,
    RateLimited,
    ReportNotFound,
    ReportQuotaExceeded,
    ResourceNotFound,
    TokenConsumed,
    TokenExpired,
)
from composer.registry import ChildCounts


@dataclass(frozen=True, slots=True)
class RefusalKind:
    """The outside of a refusal; ``retry_after`` is in seconds."""

    status: int
    code: str | None
    detail: str
    retry_after: int | None = None


UNAUTHORIZED = RefusalKind(401, "unauthorized", "A valid bearer token is required.")
INVALID_NODE_ID = RefusalKind(
    400, "invalid_node_id", "The node id must be a canonical lower-case UUID."
)
INVALID_DOMAIN_ID = RefusalKind(
    400, "invalid_domain_id", "The Domain id must be a canonical lower-case UUID."
)
UNKNOWN_QUERY_PARAMETER = RefusalKind(
    400,
    "unknown_query_parameter",
    "The query names a parameter that this operation does not declare.",
)
INVALID_FILTER = RefusalKind(400, "invalid_filter", "A filter is not as the contract declares it.")
MALFORMED_HEARTBEAT_REQUEST = RefusalKind(
    400, "malformed_heartbeat_request", "The body is not a well-formed heartbeat."
)
BINARY_CHECKSUM_EMPTY = RefusalKind(
    400, "binary_checksum_empty", "The binary checksum must not be empty."
)
BINARY_VERSION_EMPTY = RefusalKind(
    400, "binary_version_empty", "The binary version must not be empty."
)
CLOCK_SKEW = RefusalKind(
    400, "clock_skew", "The client's clock is more than 60 seconds from the service's."
)
INVALID_BODY = RefusalKind(
    400, "invalid_body", "The body is not a JSON object of the declared members."
)
INVALID_DOMAIN = RefusalKind(
    400, "invalid_domain", "A member of the Domain is missing, or not as declared."
)
INVALID_REACHABILITY_POLICY = RefusalKind(
    400,
    "invalid_reachability_policy",
    "The durations are not as declared, incomplete, or contradict each other.",
)
SLUG_IMMUTABLE = RefusalKind(400, "slug_immutable", "The slug of a Domain never changes.")
EMPTY_PATCH = RefusalKind(400, "empty_patch", "The body has no member to change.")
PUBLIC_KEY_INVALID = RefusalKind(
    400, "public_key_invalid", "The public key must be 32 bytes in base64, and not all zero."
)
INVALID_IDEMPOTENCY_KEY = RefusalKind(
    400, "invalid_idempotency_key", "The Idempotency-Key must be 1 to 255 visible ASCII characters."
)
INVALID_LAST_EVENT_ID = RefusalKind(
    400,
    "invalid_last_event_id",
    "The Last-Event-ID must be a whole number, the id of an event.",
)
INVALID_CURSOR = RefusalKind(
    400, "invalid_cursor", "The cursor is not one that this list has given."
)
INVALID_LIMIT = RefusalKind(400, "invalid_limit", "The limit must be from 1 to 200.")
INVALID_REPORT = RefusalKind(400, "invalid_report", "The key or the body is not that of a report.")
INVALID_ENTRY = RefusalKind(400, "invalid_entry", "The key or the body is not that of an entry.")
INSUFFICIENT_RELATION = RefusalKind(
    403, "insufficient_relation", "The caller lacks the relation that this operation asks for."
)
KIND_MISMATCH = RefusalKind(403, "kind_mismatch", "The bootstrap token is not for a Node.")
PROJECT_MISMATCH = RefusalKind(
    403, "project_mismatch", "The bootstrap token belongs to another project."
)
TOKEN_CONSUMED = RefusalKind(
    403, "token_consumed", "A Node was enrolled with this bootstrap token before."
)
TOKEN_EXPIRED = RefusalKind(403, "token_expired", "The time of the bootstrap token is over.")
TOKEN_REVOKED = RefusalKind(
    403, "token_revoked", "The issuer of the bootstrap token may no longer edit its Domain."
)
NONCE_COLLISION = RefusalKind(
    403, "nonce_collision", "A Node of the Domain was enrolled with this nonce before."
)
NODE_NOT_FOUND = RefusalKind(404, "node_not_found", "No such Node.")
DOMAIN_NOT_FOUND = RefusalKind(404, "domain_not_found", "No such Domain.")
DOMAIN_SLUG_CONFLICT = RefusalKind(409, "domain_slug_conflict", "Another Domain has this slug.")
MESH_CIDR_OVERLAP = RefusalKind(
    409, "mesh_cidr_overlap", "Another Domain has addresses of this range."
)
DOMAIN_NOT_EMPTY = RefusalKind(409, "domain_not_empty", "The Domain still has Nodes.")
IDEMPOTENCY_KEY_CONFLICT = RefusalKind(
    409, "idempotency_key_conflict", "The same Idempotency-Key came with another request before."
)
PUBLIC_KEY_IN_USE = RefusalKind(
    409, "public_key_in_use", "Another Node of the Domain has this public key."
)
PUBLIC_KEY_REGISTERED = RefusalKind(
    409, "public_key_registered", "A Node of the Domain was registered with this public key."
)
REPORT_NOT_FOUND = RefusalKind(404, "report_not_found", "The Node has no such report.")
ENTRY_NOT_FOUND = RefusalKind(404, "entry_not_found", "The Node has no such entry.")
RESOURCE_NOT_FOUND = RefusalKind(
    404, "resource_not_found", "The bootstrap token is for another resource handle."
)
NOT_ACCEPTABLE = RefusalKind(
    406, "not_acceptable", "This operation answers with the media types its contract declares."
)
REPORT_QUOTA_EXCEEDED = RefusalKind(
    409, "report_quota_exceeded", "The Node holds as many reports as it may."
)
ENTRY_QUOTA_EXCEEDED = RefusalKind(
    409, "entry_quota_exceeded", "The Node holds as many entries of this kind as it may."
)
NODE_QUOTA_EXCEEDED = RefusalKind(
    409, "node_quota_exceeded", "The Domain has as many Nodes as it may."
)
PAYLOAD_TOO_LARGE = RefusalKind(
    413, "payload_too_large", "The request body is larger than this service accepts."
)
REQUEST_BODY_TOO_LARGE = RefusalKind(
    413, "request_body_too_large", "The body is larger than this operation accepts."
)
UNSUPPORTED_MEDIA_TYPE = RefusalKind(
    415, "unsupported_media_type", "This operation does not accept this kind of body."
)
RATE_LIMITED = RefusalKind(
    429, "rate_limited", "The caller has reached a limit; retry later.", retry_after=1
)
BOOTSTRAP_TOKEN_INVALID = RefusalKind(
    422, "bootstrap_token_invalid", "The bootstrap token is not one that this service has issued."
)
INVARIANT_VIOLATION = RefusalKind(
    422, "invariant_violation", "A member of the enrolment is missing, or not as declared."
)
NOT_PROVISIONED = RefusalKind(
    501, "signed_event_bus_not_provisioned", "This operation is not provisioned on this instance."
)
HEARTBEAT_NOT_PROVISIONED = RefusalKind(
    501, "heartbeat_not_provisioned", "Heartbeats are not provisioned on this instance."
)
REACHABILITY_NOT_PROVISIONED = RefusalKind(
    501, "reachability_not_provisioned", "Reading reachability is not provisioned on this instance."
)
DOMAINS_NOT_PROVISIONED = RefusalKind(
    501, "domains_not_provisioned", "Domains are not provisioned on this instance."
)
TOKEN_SIGNING_NOT_PROVISIONED = RefusalKind(
    501, "token_signing_not_provisioned", "This instance has no key to sign node tokens with."
)
CREDENTIALS_NOT_PROVISIONED = RefusalKind(
    501, "credentials_not_provisioned", "Node credentials are not provisioned on this instance."
)
NODES_NOT_PROVISIONED = RefusalKind(
    501, "nodes_not_provisioned", "Writing Nodes is not provisioned on this instance."
)
BOOTSTRAP_TOKENS_NOT_PROVISIONED = RefusalKind(
    501,
    "bootstrap_tokens_not_provisioned",
    "Bootstrap tokens are not provisioned on this instance.",
)
REGISTRATION_NOT_PROVISIONED = RefusalKind(
    501, "registration_not_provisioned", "Registering Nodes is not provisioned on this instance."
)
POOL_EXHAUSTED = RefusalKind(
    503, "pool_exhausted", "No address of the Domain is free; retry later.", retry_after=60
)
AUDIT_NOT_PROVISIONED = RefusalKind(
    501, "audit_not_provisioned", "Reading the audit is not provisioned on this instance."
)
REPORTS_NOT_PROVISIONED = RefusalKind(
    501, "reports_not_provisioned", "Reports are not provisioned on this instance."
)
ENTRIES_NOT_PROVISIONED = RefusalKind(
    501, "entries_not_provisioned", "Writing entries is not provisioned on this instance."
)
OVERLOADED = RefusalKind(
    status=503,
    code="overloaded",
    detail="There are more requests than can be answered in time; retry later.",
    retry_after=5,
)
EVENT_STREAM_UNAVAILABLE = RefusalKind(
    503,
    "event_stream_unavailable",
    "The event stream is unavailable; retry later.",
    retry_after=5,
)
KEYS_UNAVAILABLE = RefusalKind(
    503, "keys_unavailable", "No key to verify the token can be had; retry later.", retry_after=5
)
DATASTORE_UNAVAILABLE = RefusalKind(
    503, "datastore_unavailable", "The ledger is unavailable; retry later.", retry_after=5
)
LEDGER_BEHIND = RefusalKind(
    503,
    "ledger_behind",
    "The ledger is older than what was answered before; retry later.",
    retry_after=5,
)
AUTHZ_UNAVAILABLE = RefusalKind(
    503, "authz_unavailable", "Authorization is unavailable; retry later.", retry_after=5
)
INTERNAL = RefusalKind(500, None, "The request could not be completed.")
# Requests that belong to no operation: ``x-unserved`` of the contract has their paths.
UNSERVED = tuple(
    RefusalKind(501, code, "This release does not serve this request.")
    for code in (
        "endpoint_not_provisioned",
        "capabilities_not_provisioned",
        "keys_rotate_not_provisioned",
        "node_keys_rotate_not_provisioned",
        "node_keys_rotate_preview_not_provisioned",
        "integrity_violations_not_provisioned",
        "secrets_not_provisioned",
        "psk_delivery_not_provisioned",
        "observability_ingest_not_provisioned",
        "executions_not_provisioned",
        "sessions_not_provisioned",
        "mesh_topology_not_provisioned",
    )
)

# Every kind above, in the same order.
CATALOGUE: tuple[RefusalKind, ...] = (
    *(kind for kind in tuple(globals().values()) if isinstance(kind, RefusalKind)),
    *UNSERVED,
)
NOT_PROVISIONED_KINDS: Mapping[str, RefusalKind] = {
    kind.code: kind for kind in CATALOGUE if kind.status == 501 and kind.code is not None
}


@dataclass(frozen=True, slots=True)
class BodyRefusals:
    """The refusals of a body that breaks the contract.

    - ``malformed``: a fault without a refusal of its own.
    - ``members``: that member is wrong, undeclared, or required and absent; ``""`` is the body
      itself. Of several faults, the first in this order is reported.
    - ``empty``: the member is an empty text. Reported only where there is no other fault.
    - ``too_large``: the body is larger than the operation's limit.
    - ``max_bytes``: limits of texts in bytes of UTF-8. They are checked first.
    """

    malformed: RefusalKind
    members: Mapping[str, RefusalKind] = field(default_factory=dict)
    empty: Mapping[str, RefusalKind] = field(default_factory=dict)
    too_large: RefusalKind = PAYLOAD_TOO_LARGE
    max_bytes: Mapping[str, int] = field(default_factory=dict)

    @property
    def kinds(self) -> tuple[RefusalKind, ...]:
        """Every refusal of a body, in the order in which they are reported."""
        return (self.malformed, *self.members.values(), *self.empty.values())

    def kind_of(self, member: str | None) -> RefusalKind:
        """The refusal of a fault in a member of the body; None is the body itself."""
        return self.members.get(member or "", self.malformed)


_KINDS: tuple[tuple[type[Exception], RefusalKind], ...] = (
    (NodeNotFound, NODE_NOT_FOUND),
    (DomainNotFound, DOMAIN_NOT_FOUND),
    (ReportNotFound, REPORT_NOT_FOUND),
    (EntryNotFound, ENTRY_NOT_FOUND),
    (ReportQuotaExceeded, REPORT_QUOTA_EXCEEDED),
    (EntryQuotaExceeded, ENTRY_QUOTA_EXCEEDED),
    (ClockSkew, CLOCK_SKEW),
    (DomainSlugConflict, DOMAIN_SLUG_CONFLICT),
    (MeshCidrOverlap, MESH_CIDR_OVERLAP),
    (IdempotencyKeyConflict, IDEMPOTENCY_KEY_CONFLICT),
    (PublicKeyInUse, PUBLIC_KEY_IN_USE),
    (PublicKeyRegistered, PUBLIC_KEY_REGISTERED),
    (CredentialEnded, UNAUTHORIZED),
    (BootstrapTokenInvalid, BOOTSTRAP_TOKEN_INVALID),
    (ProjectMismatch, PROJECT_MISMATCH),
    (TokenConsumed, TOKEN_CONSUMED),
    (TokenExpired, TOKEN_EXPIRED),
    (NonceCollision, NONCE_COLLISION),
    (ResourceNotFound, RESOURCE_NOT_FOUND),
    (NodeQuotaExceeded, NODE_QUOTA_EXCEEDED),
    (PoolExhausted, POOL_EXHAUSTED),
    (EventStreamUnavailable, EVENT_STREAM_UNAVAILABLE),
    (KeysUnavailable, KEYS_UNAVAILABLE),
    (DatastoreUnavailable, DATASTORE_UNAVAILABLE),
    (LedgerBehind, LEDGER_BEHIND),
    (AuthzUnavailable, AUTHZ_UNAVAILABLE),
)


class Refused(Exception):
    """Ends a request. ``inside`` is for the log and must not reach the wire.

    ``child_counts`` reaches the wire: the numbers of the objects that prevent a deletion.
    """

    def __init__(
        self, kind: RefusalKind, inside: str, child_counts: Mapping[str, int] | None = None
    ) -> None:
        super().__init__(inside)
        self.kind = kind
        self.inside = inside
        self.child_counts = child_counts


def refusal_for(error: Exception) -> Refused:
    """The refusal of an adapter's error; a 500 without a code where the table has none."""
    if isinstance(error, DomainNotEmpty):
        return Refused(DOMAIN_NOT_EMPTY, str(error), asdict(ChildCounts(error.nodes)))
    if isinstance(error, RateLimited):
        kind = replace(RATE_LIMITED, retry_after=max(1, ceil(error.retry_after)))
        return Refused(kind, str(error))
    for error_type, kind in _KINDS:
        if isinstance(error, error_type):
            return Refused(kind, str(error))
    return Refused(INTERNAL, f"{type(error).__name__}: {error}")
