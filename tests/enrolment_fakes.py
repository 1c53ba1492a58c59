"""Stands-in for the ports of enrolment, for unit tests only; a suite keeps them honest."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from composer.audit import AuditedWrite
from composer.deadline import Deadline
from composer.enrolment import BootstrapToken, Enrolment, IssuedToken, NewBootstrapToken
from composer.errors import (
    BootstrapTokenInvalid,
    DatastoreUnavailable,
    DomainNotFound,
    NonceCollision,
    ProjectMismatch,
    ResourceNotFound,
    TokenConsumed,
    TokenExpired,
)
from composer.identity import Principal, domain_object
from composer.registry import NewNode, RegisteredNode, Registration
from tests.factories import EPOCH
from tests.fakes import record_write
from tests.registry_fakes import FakeNodeRegistry

# Those of the contract's examples.
DOCUMENTED_TOKEN = UUID("5c0b7f0e-2f7d-4f0c-9d4e-1a2b3c4d5e6f")
DOCUMENTED_DIGEST = sha256(bytes(range(32))).digest()
DOCUMENTED_PROJECT = UUID("0190b2c4-1111-7a10-9c3f-5b6e7f809100")


@dataclass
class FakeBootstrapTokens:
    """Tokens by id with what was wanted of each, on a registry of Nodes; ``now`` is its clock.

    ``consumed`` are the tokens that enrolled a Node, ``nonces`` those used, by Domain.
    """

    registry: FakeNodeRegistry = field(default_factory=FakeNodeRegistry)
    now: datetime = EPOCH
    fails: Exception | None = None
    tokens: dict[UUID, tuple[BootstrapToken, NewBootstrapToken, datetime]] = field(
        default_factory=dict
    )
    consumed: set[UUID] = field(default_factory=set)
    nonces: set[tuple[UUID, str]] = field(default_factory=set)

    def put(self, token_id: UUID, domain_id: UUID, wanted: NewBootstrapToken) -> None:
        """One more token."""
        issuer = Principal.of_subject(wanted.issuer)
        token = BootstrapToken(token_id, domain_id, issuer, wanted.digest)
        self.tokens[token_id] = token, wanted, self.now + wanted.lifetime

    def issue(
        self,
        domain_id: UUID,
        wanted: NewBootstrapToken,
        write: AuditedWrite,
        deadline: Deadline,
    ) -> IssuedToken:
        self._in_time(deadline)
        if domain_id not in self.registry.ranges:
            raise DomainNotFound(f"domain_id={domain_id}")
        token_id = UUID(int=(0x0190F << 108) | (4 << 76) | (2 << 62) | len(self.tokens))
        self.put(token_id, domain_id, wanted)
        record_write(self.registry.audit, write, domain_object(domain_id))
        return IssuedToken(token_id, self.now, self.tokens[token_id][2])

    def find(self, token_id: UUID, deadline: Deadline) -> BootstrapToken:
        self._in_time(deadline)
        if token_id not in self.tokens:
            raise BootstrapTokenInvalid(f"bootstrap_token={token_id}")
        return self.tokens[token_id][0]

    def enrol(
        self, token_id: UUID, enrolment: Enrolment, write: AuditedWrite, deadline: Deadline
    ) -> RegisteredNode:
        self.find(token_id, deadline)
        token, wanted, expires_at = self.tokens[token_id]
        nonce = (token.domain_id, enrolment.nonce)
        for is_refused, error in (
            (wanted.project_id != enrolment.project_id, ProjectMismatch),
            (nonce in self.nonces, NonceCollision),
            (token_id in self.consumed, TokenConsumed),
            (expires_at <= self.now, TokenExpired),
            (wanted.resource_handle not in (None, enrolment.resource_handle), ResourceNotFound),
        ):
            if is_refused:
                raise error(f"bootstrap_token={token_id}")
        registration = Registration(
            wanted=NewNode(enrolment.public_key, enrolment.resource_handle),
            subject="",
            idempotency_key=None,
            secret_key_digest=enrolment.secret_key_digest,
        )
        node = self.registry.register(token.domain_id, registration, write, deadline)
        self.consumed.add(token_id)
        self.nonces.add(nonce)
        return node

    def _in_time(self, deadline: Deadline) -> None:
        if self.fails is not None:
            raise self.fails
        if deadline.remaining() <= 0:
            raise DatastoreUnavailable("no time left")
