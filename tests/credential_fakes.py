"""Small fakes of the ports of keys, tokens and credentials, for unit tests only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from composer.audit import AuditedWrite
from composer.credentials import NO_DIGEST, SecretKey
from composer.deadline import Deadline
from composer.errors import (
    DatastoreUnavailable,
    DomainNotFound,
    NodeNotFound,
)
from composer.event_keys import EventKey
from composer.identity import (
    node_object,
)
from composer.node_token import NodeToken
from tests.factories import EPOCH
from tests.fakes import FakeAuditSink, FakeClock, raise_if_late, record_write


@dataclass
class FakeKeys:
    """The keys that verify tokens, which may be away."""

    fails: Exception | None = None


@dataclass
class FakeTokenMint:
    """Numbers its tokens; ``clock`` is Unix seconds, ``minted`` says whose each is until when."""

    clock: FakeClock = field(default_factory=lambda: FakeClock(EPOCH.timestamp()))
    fails: Exception | None = None
    minted: dict[str, tuple[UUID, datetime]] = field(default_factory=dict)

    def mint(self, node_id: UUID, tokens_not_before: datetime | None) -> NodeToken:
        if self.fails is not None:
            raise self.fails
        text = f"fake.token.{len(self.minted)}"
        until = datetime.fromtimestamp(self.clock(), UTC) + timedelta(hours=24)
        self.minted[text] = (node_id, until)
        return NodeToken(text, until)


@dataclass
class FakeNodeCredentials:
    """Digests of the secret keys of the Nodes it knows, the newest first."""

    digests: dict[UUID, tuple[bytes, ...]] = field(default_factory=dict)
    fails: Exception | None = None
    revoked: list[UUID] = field(default_factory=list)
    audit: FakeAuditSink = field(default_factory=FakeAuditSink)

    def secret_key_digests(self, node_id: UUID, deadline: Deadline) -> tuple[bytes, ...]:
        raise_if_late(deadline, DatastoreUnavailable("no time left"), self.fails)
        return (*self.digests.get(node_id, ()), NO_DIGEST, NO_DIGEST)[:2]

    def rotate_secret_key(
        self, node_id: UUID, digest: bytes, write: AuditedWrite, deadline: Deadline
    ) -> None:
        raise_if_late(deadline, DatastoreUnavailable("no time left"), self.fails)
        if node_id not in self.digests:
            raise NodeNotFound(f"node_id={node_id}")
        if digest not in self.digests[node_id][:1]:
            self.digests[node_id] = (digest, *self.digests[node_id][:1])
        record_write(self.audit, write, node_object(node_id))

    def record_token(self, node_id: UUID, write: AuditedWrite, deadline: Deadline) -> None:
        raise_if_late(deadline, DatastoreUnavailable("no time left"), self.fails)
        if node_id not in self.digests:
            raise NodeNotFound(f"node_id={node_id}")
        record_write(self.audit, write, node_object(node_id))

    def revoke(self, node_id: UUID, write: AuditedWrite, deadline: Deadline) -> None:
        raise_if_late(deadline, DatastoreUnavailable("no time left"), self.fails)
        if node_id not in self.digests:
            raise NodeNotFound(f"node_id={node_id}")
        self.digests[node_id] = ()
        self.revoked.append(node_id)
        record_write(self.audit, write, node_object(node_id))


@dataclass
class FakeSecretKeys:
    """Counts its keys, each of 32 equal bytes."""

    made: int = 0

    def new(self) -> SecretKey:
        self.made += 1
        return SecretKey(bytes([self.made % 256]) * 32)


@dataclass
class FakeEventKeys:
    """A key for each of the Domains it knows, made of the Domain's id."""

    known: set[UUID] = field(default_factory=set)
    fails: Exception | None = None

    def current(self, domain_id: UUID, deadline: Deadline) -> EventKey:
        raise_if_late(deadline, DatastoreUnavailable("no time left"), self.fails)
        if domain_id not in self.known:
            raise DomainNotFound(f"domain_id={domain_id}")
        return EventKey(domain_id.hex[-16:], domain_id.bytes * 2)


@dataclass
class FakePublishedKeys:
    """Publishes what it was given."""

    given: list[dict[str, str]] = field(default_factory=list)
    fails: Exception | None = None

    def jwks(self) -> Mapping[str, object]:
        if self.fails is not None:
            raise self.fails
        return {"keys": self.given}
