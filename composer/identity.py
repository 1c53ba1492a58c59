"""The Principal, the Addressed Node and Domain, and the ports of gates 2 and 3."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from hmac import compare_digest
from typing import Protocol
from uuid import UUID

from composer.deadline import Deadline
from composer.errors import CredentialEnded
from composer.position import LedgerPosition

NIL = UUID(int=0)

# The canonical lower-case form only: no upper case, braces or urn prefix.
_CANONICAL = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


@lru_cache(16_384)  # an agent asks for the same Node all day
def parse_canonical_uuid(text: str) -> UUID | None:
    """The UUID of a canonical text; None for other texts and for the nil UUID."""
    if not _CANONICAL.fullmatch(text):
        return None
    value = UUID(text)
    return None if value == NIL else value


class PrincipalKind(StrEnum):
    """The kinds of caller. A token names the first three; the last presents a bootstrap token."""

    NODE = "node"
    SERVICE = "service"
    USER = "user"
    BOOTSTRAP_TOKEN = "bootstrap-token"


@dataclass(frozen=True, slots=True)
class Credential:
    """The proof of a Principal: a JWT issued at ``issued_at`` (None without ``iat``) and refused
    from ``expires_at`` on, or a node secret key or bootstrap token whose secret has this SHA-256
    digest."""

    issued_at: datetime | None = None
    secret_key_digest: bytes | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller: the subject of a verified token, or the Node of a secret key."""

    kind: PrincipalKind
    id: str
    credential: Credential = field(default=Credential(), compare=False, repr=False)

    @property
    def subject(self) -> str:
        """The form in tokens, SpiceDB and audit rows: ``kind:id``."""
        return f"{self.kind}:{self.id}"

    @classmethod
    def of_subject(cls, subject: str) -> Principal:
        """The Principal of a recorded subject. Raises ValueError for another text."""
        kind, _, name = subject.partition(":")
        return cls(PrincipalKind(kind), name)


@dataclass(frozen=True, slots=True)
class AddressedNode:
    """The Node of the request's path, as gate 3 finds it.

    - ``authz_token`` is the ZedToken of the Node's last relationship write, or None where the
      ledger has no such token (docs/design.md, Relationships).
    - ``secret_key_digests`` are the SHA-256 digests of its valid secret keys, at most two.
    - ``tokens_not_before``: the Node's tokens that were issued earlier are no longer valid.
    - ``joined_seq``: events of the Domain with a lower ``seq`` are from before the Node joined it.
      0 where the statement did not read it, and for a Node that gets every event.
    - ``moment`` is what the same statement read for the Node's snapshot, where it did; only the
      ledger that read it can use it.
    """

    id: UUID
    domain_id: UUID
    authz_token: str | None
    secret_key_digests: tuple[bytes, ...] = ()
    tokens_not_before: datetime | None = None
    joined_seq: int = field(default=0, compare=False)
    moment: object = field(default=None, compare=False, repr=False)

    def check_credential(self, principal: Principal) -> None:
        """Raise CredentialEnded where the Node's own credential is not valid any more.

        A caller that is not the Node was authenticated by a credential that this row knows
        nothing of.
        """
        credential = principal.credential
        has_limits = self.tokens_not_before is not None or credential.secret_key_digest is not None
        if not has_limits or principal.subject != node_object(self.id):
            return
        if credential.secret_key_digest is not None:
            if not is_among(credential.secret_key_digest, self.secret_key_digests):
                raise CredentialEnded(f"node_id={self.id}: the secret key is not valid any more")
        elif self.tokens_not_before is not None and (
            credential.issued_at is None or credential.issued_at < self.tokens_not_before
        ):
            raise CredentialEnded(f"node_id={self.id}: the token was issued too early")


def is_among(digest: bytes, valid: Iterable[bytes]) -> bool:
    """Whether ``digest`` is one of ``valid``, in a time that does not depend on the bytes."""
    return sum(compare_digest(digest, other) for other in valid) > 0


@dataclass(frozen=True, slots=True)
class AddressedDomain:
    """The Domain of the request's path, as gate 3 finds it.

    ``authz_token`` is the ZedToken of the last relationship write about the Domain or the platform,
    or None where the ledger has no such token.
    """

    id: UUID
    authz_token: str | None


@dataclass(frozen=True, slots=True)
class VisibleDomains:
    """The Domains that a caller may see; ``ids`` is None where it may see every Domain."""

    ids: frozenset[UUID] | None


def node_object(node_id: UUID) -> str:
    """The name of a Node in SpiceDB and audit rows: ``node:<id>``."""
    return f"node:{node_id}"


def domain_object(domain_id: UUID) -> str:
    """The name of a Domain in SpiceDB and audit rows: ``domain:<id>``."""
    return f"domain:{domain_id}"


# The installation itself, the parent of every Domain.
PLATFORM = "platform:plexsphere"


class RelationChecker(Protocol):
    """Gate 2: asks SpiceDB whether a Principal has a relation, and to which objects.

    ``relation`` is the name on the wire (``node-agent``); ``resource`` is ``node:<uuid>``,
    ``domain:<uuid>`` or the platform. Checks return True only where SpiceDB says *has permission*.
    These and ``objects_of`` raise AuthzUnavailable, and nothing else, where SpiceDB is unreachable,
    too slow or undecided.
    """

    def check(self, principal: Principal, relation: str, resource: str, deadline: Deadline) -> bool:
        """Check at the revision that SpiceDB chooses (``minimize_latency``).

        A *no* is checked again fully consistent, at most once a second per subject and resource.
        """
        ...

    def check_at_least(
        self, principal: Principal, relation: str, resource: str, token: str, deadline: Deadline
    ) -> bool:
        """Check at ``token`` or later. A yes is remembered, so the same check asks SpiceDB once."""
        ...

    def last_token(self, principal: Principal, relation: str, resource: str) -> str | None:
        """The token of the last ``check_at_least`` that this process remembers as a yes, or None.

        This asks nothing of SpiceDB.
        """
        ...

    def check_now(
        self, principal: Principal, relation: str, resource: str, deadline: Deadline
    ) -> bool:
        """Check at the newest revision (``fully_consistent``). This is costly, so use it rarely."""
        ...

    def objects_of(
        self, principal: Principal, relation: str, kind: str, deadline: Deadline
    ) -> frozenset[UUID]:
        """The ids of all objects of a kind (``domain``) to which the Principal has the relation, at
        the newest revision."""
        ...


class NodeRepo(Protocol):
    """Gate 3 of operations on a Node: finds its row and its Domain."""

    def get_by_id(self, node_id: UUID, deadline: Deadline) -> AddressedNode:
        """Raises NodeNotFound, DatastoreUnavailable."""
        ...

    def get_for_snapshot(
        self, node_id: UUID, deadline: Deadline, presented: LedgerPosition | None = None
    ) -> AddressedNode:
        """The same, by the statement that reads its snapshot where that is one round trip less.

        Its ``moment`` is not older than what this host has answered the Node before, and sees what
        the caller has ``presented``. Raises LedgerBehind too.
        """
        ...


class DomainRepo(Protocol):
    """Gate 3 of operations on a Domain: finds its row."""

    def get_by_id(self, domain_id: UUID, deadline: Deadline) -> AddressedDomain:
        """Raises DomainNotFound, DatastoreUnavailable."""
        ...
