"""The credentials of Nodes in the ledger: their secret keys, and what ends keys and tokens."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from composer.audit import AuditedWrite
from composer.deadline import Deadline

SECRET_KEY_BYTES = 32
# No known secret has this digest.
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

    def record_token(self, node_id: UUID, write: AuditedWrite, deadline: Deadline) -> None:
        """Store the audit row of a token that the Node gets, and nothing else.

        Raises NodeNotFound, DatastoreUnavailable.
        """
        ...

    def revoke(self, node_id: UUID, write: AuditedWrite, deadline: Deadline) -> None:
        """End every secret key of the Node, and every token issued so far.

        Raises NodeNotFound, DatastoreUnavailable.
        """
        ...
