"""Enrolment: an agent registers its own Node once, with a bootstrap token of the Node's Domain.

The text of a token is ``psb_<env>_<id>_<kind>_<secret>``. The id (16 bytes) and the secret (32
bytes) are unpadded base32 in lower case. ``<env>`` has no meaning here.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b32decode, b32encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from composer.audit import AuditedWrite
from composer.deadline import Deadline
from composer.errors import BootstrapTokenInvalid
from composer.identity import Credential, Principal, PrincipalKind, is_among
from composer.registry import RegisteredNode

# Of a token: the bounds of `ttl_seconds` in the contract.
SHORTEST_LIFETIME = timedelta(minutes=5)
LONGEST_LIFETIME = timedelta(days=1)
# The kind of the tokens that this service issues.
NODE_KIND = "node"
_ENV = "plexsphere"
# 16 bytes are 26 characters, 32 bytes are 52.
_TEXT = re.compile(r"psb_[a-z]+_([a-z2-7]{26})_(node|bridge)_([a-z2-7]{52})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBootstrapToken:
    """A token to issue. ``digest`` is the SHA-256 of its secret. With a ``resource_handle`` only a
    Node of that handle can enrol."""

    digest: bytes
    project_id: UUID
    resource_handle: str | None
    lifetime: timedelta
    issuer: str


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token in the ledger; times are aware."""

    token_id: UUID
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class BootstrapToken:
    """A token as gate 1 finds it. ``digest`` is the SHA-256 of its secret."""

    id: UUID
    domain_id: UUID
    issuer: Principal
    digest: bytes

    def check_secret(self, principal: Principal) -> None:
        """Raise BootstrapTokenInvalid where the caller presented another secret."""
        presented = principal.credential.secret_key_digest
        if presented is None or not is_among(presented, (self.digest,)):
            raise BootstrapTokenInvalid(f"bootstrap_token={self.id}: wrong secret")


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """A request with a token: the Node that the agent wants to be, and the digest of the secret key
    that the answer shows. ``public_key`` is 32 raw bytes."""

    project_id: UUID
    resource_handle: str
    nonce: str
    public_key: bytes
    secret_key_digest: bytes

    @property
    def nonce_digest(self) -> bytes:
        """SHA-256."""
        return hashlib.sha256(self.nonce.encode()).digest()


@dataclass(frozen=True, slots=True)
class PresentedToken:
    """A well-formed token that was not verified yet: its caller, and its kind."""

    caller: Principal
    kind: str


def bootstrap_token_text(token_id: UUID, secret: bytes) -> str:
    """The token as an agent presents it."""
    return f"psb_{_ENV}_{_base32(token_id.bytes)}_{NODE_KIND}_{_base32(secret)}"


def parse_bootstrap_token(text: str) -> PresentedToken | None:
    """The token that ``text`` spells; None for any other text."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    token_id, secret = _bytes(match[1]), _bytes(match[3])
    if (_base32(token_id), _base32(secret)) != (match[1], match[3]):
        return None  # unused last bits would allow several texts of one token
    credential = Credential(secret_key_digest=hashlib.sha256(secret).digest())
    name = str(UUID(bytes=token_id))
    return PresentedToken(Principal(PrincipalKind.BOOTSTRAP_TOKEN, name, credential), match[2])


def _base32(raw: bytes) -> str:
    return b32encode(raw).decode("ascii").rstrip("=").lower()


def _bytes(text: str) -> bytes:
    return b32decode(text.upper() + "=" * (-len(text) % 8))


class BootstrapTokens(Protocol):
    """The bootstrap tokens of Domains. Each write is one transaction, its audit row included."""

    def issue(
        self,
        domain_id: UUID,
        wanted: NewBootstrapToken,
        write: AuditedWrite,
        deadline: Deadline,
    ) -> IssuedToken:
        """Store a token. Raises DomainNotFound, DatastoreUnavailable."""
        ...

    def find(self, token_id: UUID, deadline: Deadline) -> BootstrapToken:
        """A token in any state. Raises BootstrapTokenInvalid, DatastoreUnavailable."""
        ...

    def enrol(
        self, token_id: UUID, enrolment: Enrolment, write: AuditedWrite, deadline: Deadline
    ) -> RegisteredNode:
        """Register a Node with the lowest free address of the token's Domain, and consume the
        token, in one transaction. An error consumes nothing, and records no nonce.

        One token makes one Node, also with concurrent callers. Raises, the first that applies:
        BootstrapTokenInvalid, ProjectMismatch, NonceCollision where an enrolment in the Domain had
        the nonce, TokenConsumed, TokenExpired, ResourceNotFound where the token is for another
        handle, PublicKeyRegistered, NodeQuotaExceeded, PoolExhausted; DatastoreUnavailable.
        """
        ...
