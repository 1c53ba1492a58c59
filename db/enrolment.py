"""Bootstrap tokens on Postgres."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from composer.audit import AuditedWrite
from composer.deadline import Deadline
from composer.enrolment import BootstrapToken, Enrolment, IssuedToken, NewBootstrapToken
from composer.errors import (
    BootstrapTokenInvalid,
    ComposerError,
    DomainNotFound,
    NodeNotFound,
    NodeQuotaExceeded,
    NonceCollision,
    PoolExhausted,
    ProjectMismatch,
    PublicKeyRegistered,
    ResourceNotFound,
    TokenConsumed,
    TokenExpired,
)
from composer.identity import Principal
from composer.registry import MOST_NODES, RegisteredNode
from db.audit import write_arguments
from db.clock import TimeOffset, no_offset
from db.connections import ReadSession, Sessions, WriteSession
from db.statements import Prepared

ISSUE_BOOTSTRAP_TOKEN = Prepared("issue_bootstrap_token")
BOOTSTRAP_TOKEN = Prepared("bootstrap_token")
ENROL_NODE = Prepared("enrol_node")
NODE_IDENTITY = Prepared("node_identity")
# How long a token is kept after its time, so that its nonce and its refusals stay what they are.
KEPT = timedelta(days=30)

# The outcomes of the function of migration 0024 that are refusals.
_REFUSALS: Mapping[str, type[ComposerError]] = {
    "bootstrap_token_invalid": BootstrapTokenInvalid,
    "domain_not_found": BootstrapTokenInvalid,
    "project_mismatch": ProjectMismatch,
    "nonce_collision": NonceCollision,
    "token_consumed": TokenConsumed,
    "token_expired": TokenExpired,
    "resource_not_found": ResourceNotFound,
    "public_key_registered": PublicKeyRegistered,
    "pool_exhausted": PoolExhausted,
    "node_quota_exceeded": NodeQuotaExceeded,
}


class PostgresBootstrapTokens:
    """Implements composer.enrolment.BootstrapTokens. Every write may run twice."""

    def __init__(
        self,
        pool: Sessions[WriteSession],
        hold_off: timedelta,
        node_quota: int = MOST_NODES,
        time_offset: TimeOffset = no_offset,
    ) -> None:
        """``hold_off`` and ``node_quota`` as in PostgresNodeRegistry.

        Tokens are read where they are written: a replica may not have a token that was just issued.
        """
        self._pool = pool
        self._hold_off = hold_off
        self._node_quota = node_quota
        self._time_offset = time_offset

    def issue(
        self,
        domain_id: UUID,
        wanted: NewBootstrapToken,
        write: AuditedWrite,
        deadline: Deadline,
    ) -> IssuedToken:
        """See composer.enrolment.BootstrapTokens."""
        token_id = uuid4()
        arguments = {
            "token_id": str(token_id),
            "domain_id": str(domain_id),
            "digest": wanted.digest,
            "project_id": str(wanted.project_id),
            "resource_handle": wanted.resource_handle,
            "issuer": wanted.issuer,
            "lifetime": wanted.lifetime,
            "kept": KEPT,
            "time_offset": self._time_offset(),
            **write_arguments(write),
        }
        found = self._pool.fetch(ISSUE_BOOTSTRAP_TOKEN, arguments, deadline)
        if not found:
            raise DomainNotFound(f"domain_id={domain_id}")
        return IssuedToken(token_id, *found[0])

    def find(self, token_id: UUID, deadline: Deadline) -> BootstrapToken:
        """See composer.enrolment.BootstrapTokens."""
        found = self._pool.fetch(BOOTSTRAP_TOKEN, {"token_id": str(token_id)}, deadline)
        if not found:
            raise BootstrapTokenInvalid(f"bootstrap_token={token_id}")
        domain_id, issuer, digest = found[0]
        return BootstrapToken(
            id=token_id,
            domain_id=UUID(domain_id),
            issuer=Principal.of_subject(issuer),
            digest=bytes(digest),
        )

    def enrol(
        self, token_id: UUID, enrolment: Enrolment, write: AuditedWrite, deadline: Deadline
    ) -> RegisteredNode:
        """See composer.enrolment.BootstrapTokens."""
        arguments = {
            "token_id": str(token_id),
            "project_id": str(enrolment.project_id),
            "resource_handle": enrolment.resource_handle,
            "nonce_digest": enrolment.nonce_digest,
            "public_key": enrolment.public_key,
            "secret_key_digest": enrolment.secret_key_digest,
            "hold_off": self._hold_off,
            "node_quota": self._node_quota,
            "time_offset": self._time_offset(),
            **write_arguments(write),
        }
        outcome, node_id, mesh_ip, mesh_cidr = self._pool.fetch(ENROL_NODE, arguments, deadline)[0]
        error = _REFUSALS.get(outcome)
        if error is not None:
            raise error(f"bootstrap_token={token_id}")
        return RegisteredNode(UUID(node_id), mesh_ip, mesh_cidr, is_new=True)


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """The Domain of a Node and its addresses, in canonical text; None where they are missing."""

    domain_id: UUID
    mesh_ip: str | None
    domain_mesh_cidr: str | None


def node_identity(
    sessions: Sessions[ReadSession], node_id: UUID, deadline: Deadline
) -> NodeIdentity:
    """Raises NodeNotFound, DatastoreUnavailable."""
    found = sessions.fetch(NODE_IDENTITY, {"node_id": str(node_id)}, deadline)
    if not found:
        raise NodeNotFound(f"node_id={node_id}")
    domain_id, mesh_ip, mesh_cidr = found[0]
    return NodeIdentity(UUID(domain_id), mesh_ip, mesh_cidr)
