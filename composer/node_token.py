"""A Node's credentials: the token that the service signs, and the secret key that it gives out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from composer.audit import AuditedWrite
from composer.deadline import Deadline

SECRET_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class NodeToken:
    """A node-agent JWT and the time in UTC from which it is refused.

    ``token`` is a credential. It must not appear in a log, metric, audit row or ``repr``.
    """

    token: str = field(repr=False)
    expires_at: datetime


class TokenMint(Protocol):
    """Makes node-agent JWTs; it exists only where the service has its own signing key."""

    def mint(self, node_id: UUID, tokens_not_before: datetime | None) -> NodeToken:
        """A token of the Principal ``node:<id>``, valid from now and for 24 hours.

        No two tokens are equal. The token counts as issued now, or at ``tokens_not_before`` where
        that is later: the ledger's clock may be ahead. This service accepts it at once; gate 2
        decides what the Node may do. Raises SigningUnavailable where the key can no longer be read.
        """
        ...


# No secret is known that has this digest.
NO_DIGEST = bytes(32)


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A node secret key: 32 random bytes. It is shown once, and only its digest is stored."""

    secret: bytes = field(repr=False)

    @property
    def digest(self) -> bytes:
        """SHA-256. The secret is random, so that no salt and no slow hash is needed."""
        return hashlib.sha256(self.secret).digest()


class SecretKeySource(Protocol):
    """Makes node secret keys from the operating system's random numbers."""

    def new(self) -> SecretKey: ...


class NodeCredentials(Protocol):
    """The credentials of Nodes in the ledger. Each write is one transaction, its audit row
    included."""

    def secret_key_digests(self, node_id: UUID, deadline: Deadline) -> tuple[bytes, ...]:
        """The digests of the Node's valid secret keys, filled up with ``NO_DIGEST`` to two.

        Where there is no such Node both are ``NO_DIGEST``. So neither the time nor the bytes of a
        check tell whether the Node exists. Raises DatastoreUnavailable.
        """
        ...

    def rotate_secret_key(
        self, node_id: UUID, digest: bytes, write: AuditedWrite, deadline: Deadline
    ) -> None:
        """Add a key. It and the newest key before it are valid then, and no other.

        Raises NodeNotFound, DatastoreUnavailable.
        """
        ...

    def revoke(self, node_id: UUID, write: AuditedWrite, deadline: Deadline) -> None:
        """End every secret key of the Node, and every token issued so far.

        Raises NodeNotFound, DatastoreUnavailable.
        """
        ...
