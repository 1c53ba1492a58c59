"""Every way to say no: the one place where an error meets a status.

A refusal has an outside, fixed by its kind and the same for everyone, and an inside for the log.
Codes, statuses and details are those of ``api/plexsphere-v1.yaml``; a test holds them together.
"""

from __future__ import annotations

from dataclasses import dataclass

from composer.errors import (
    AuthzUnavailable,
    ClockSkew,
    DatastoreUnavailable,
    DomainNotFound,
    NodeNotFound,
)


@dataclass(frozen=True, slots=True)
class RefusalKind:
    """The outside; ``code`` is None where the wire has none, ``retry_after`` is in seconds."""

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
INSUFFICIENT_RELATION = RefusalKind(
    403, "insufficient_relation", "The caller lacks the relation that this operation asks for."
)
NODE_NOT_FOUND = RefusalKind(404, "node_not_found", "No such Node.")
DOMAIN_NOT_FOUND = RefusalKind(404, "domain_not_found", "No such Domain.")
NOT_ACCEPTABLE = RefusalKind(
    406,
    "not_acceptable",
    "This operation answers with the media types its contract declares.",
)
PAYLOAD_TOO_LARGE = RefusalKind(
    413, "payload_too_large", "The request body is larger than this service accepts."
)
UNSUPPORTED_MEDIA_TYPE = RefusalKind(
    415, "unsupported_media_type", "This operation does not accept this kind of body."
)
NOT_PROVISIONED = RefusalKind(
    501,
    "signed_event_bus_not_provisioned",
    "This operation is not provisioned on this instance.",
)
HEARTBEAT_NOT_PROVISIONED = RefusalKind(
    501, "heartbeat_not_provisioned", "Heartbeats are not provisioned on this instance."
)
REACHABILITY_NOT_PROVISIONED = RefusalKind(
    501,
    "reachability_not_provisioned",
    "Reading reachability is not provisioned on this instance.",
)
DOMAINS_NOT_PROVISIONED = RefusalKind(
    501, "domains_not_provisioned", "Domains are not provisioned on this instance."
)
TOKEN_SIGNING_NOT_PROVISIONED = RefusalKind(
    501, "token_signing_not_provisioned", "This instance has no key to sign node tokens with."
)
DATASTORE_UNAVAILABLE = RefusalKind(
    503, "datastore_unavailable", "The ledger is unavailable; retry later.", retry_after=5
)
AUTHZ_UNAVAILABLE = RefusalKind(
    503, "authz_unavailable", "Authorization is unavailable; retry later.", retry_after=5
)
INTERNAL = RefusalKind(500, None, "The request could not be completed.")

CATALOGUE = (
    UNAUTHORIZED,
    INVALID_NODE_ID,
    INVALID_DOMAIN_ID,
    UNKNOWN_QUERY_PARAMETER,
    MALFORMED_HEARTBEAT_REQUEST,
    BINARY_CHECKSUM_EMPTY,
    BINARY_VERSION_EMPTY,
    CLOCK_SKEW,
    INSUFFICIENT_RELATION,
    NODE_NOT_FOUND,
    DOMAIN_NOT_FOUND,
    NOT_ACCEPTABLE,
    PAYLOAD_TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    NOT_PROVISIONED,
    HEARTBEAT_NOT_PROVISIONED,
    REACHABILITY_NOT_PROVISIONED,
    DOMAINS_NOT_PROVISIONED,
    TOKEN_SIGNING_NOT_PROVISIONED,
    DATASTORE_UNAVAILABLE,
    AUTHZ_UNAVAILABLE,
    INTERNAL,
)

_KIND_OF: tuple[tuple[type[Exception], RefusalKind], ...] = (
    (NodeNotFound, NODE_NOT_FOUND),
    (DomainNotFound, DOMAIN_NOT_FOUND),
    (ClockSkew, CLOCK_SKEW),
    (DatastoreUnavailable, DATASTORE_UNAVAILABLE),
    (AuthzUnavailable, AUTHZ_UNAVAILABLE),
)


class Refused(Exception):
    """A request ends here. ``inside`` is for the log line and never reaches the wire."""

    def __init__(self, kind: RefusalKind, inside: str) -> None:
        super().__init__(inside)
        self.kind = kind
        self.inside = inside


def refusal_for(error: Exception) -> Refused:
    """What an adapter's error becomes; one without a name of its own is a 500 without a code."""
    for error_type, kind in _KIND_OF:
        if isinstance(error, error_type):
            return Refused(kind, str(error))
    return Refused(INTERNAL, f"{type(error).__name__}: {error}")
