"""Who asks, about which Node or Domain, and the ports that gates 2 and 3 ask."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from composer.deadline import Deadline

NIL = UUID(int=0)

# Canonical lower-case text only: upper case, braces and the urn form name no Node.
_CANONICAL = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def parse_canonical_uuid(text: str) -> UUID | None:
    """The UUID that ``text`` spells canonically; None for other spellings and the nil UUID."""
    if not _CANONICAL.fullmatch(text):
        return None
    value = UUID(text)
    return None if value == NIL else value


class PrincipalKind(StrEnum):
    """The kinds of caller a token may name; any other kind is no Principal."""

    NODE = "node"
    SERVICE = "service"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller: what ``sub`` of a verified token says."""

    kind: PrincipalKind
    id: str

    @property
    def subject(self) -> str:
        """The spelling shared by tokens, SpiceDB and audit rows: ``kind:id``."""
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True, slots=True)
class AddressedNode:
    """The Node on the request path, as gate 3 finds it.

    ``authz_token`` is the ZedToken of the Node's last relationship write, or None when none was
    recorded (docs/design.md, Relationships).
    """

    id: UUID
    domain_id: UUID
    authz_token: str | None


@dataclass(frozen=True, slots=True)
class AddressedDomain:
    """The Domain on the request path, as gate 3 finds it.

    ``authz_token`` is the ZedToken of the last relationship write about the Domain or the platform,
    or None when none was recorded.
    """

    id: UUID
    authz_token: str | None


def node_object(node_id: UUID) -> str:
    """The audit and ReBAC name of a Node: ``node:<id>``."""
    return f"node:{node_id}"


def domain_object(domain_id: UUID) -> str:
    """The audit and ReBAC name of a Domain: ``domain:<id>``."""
    return f"domain:{domain_id}"


# The installation itself: the one object that stands above every Domain.
PLATFORM = "platform:plexsphere"


class RelationChecker(Protocol):
    """Gate 2: ReBAC.

    ``relation`` is the wire's spelling (``node-agent``), ``resource`` is ``node:<uuid>``,
    ``domain:<uuid>`` or the platform. All methods answer True only for a clear *has permission* and
    raise AuthzUnavailable when SpiceDB is unreachable, too slow or refuses to decide; nothing else
    is raised.
    """

    def check(self, principal: Principal, relation: str, resource: str, deadline: Deadline) -> bool:
        """Decide at the store's own pace (``minimize_latency``); a *no* is confirmed once fully
        consistent, at most once a second per subject and resource."""
        ...

    def check_at_least(
        self, principal: Principal, relation: str, resource: str, token: str, deadline: Deadline
    ) -> bool:
        """Decide at or after ``token``; free once this process has said yes there."""
        ...

    def decided_at(self, principal: Principal, relation: str, resource: str) -> str | None:
        """The token of the last ``check_at_least`` that was a yes; None where there was none, or it
        is forgotten. Asks nobody."""
        ...

    def check_now(
        self, principal: Principal, relation: str, resource: str, deadline: Deadline
    ) -> bool:
        """Decide by everything written so far (``fully_consistent``); for rare questions."""
        ...


class NodeRepo(Protocol):
    """Gate 3: the lookup that also yields the Domain."""

    def get_by_id(self, node_id: UUID, deadline: Deadline) -> AddressedNode:
        """Raises NodeNotFound, DatastoreUnavailable."""
        ...


class DomainRepo(Protocol):
    """Gate 3 of the operations on a Domain."""

    def get_by_id(self, domain_id: UUID, deadline: Deadline) -> AddressedDomain:
        """Raises DomainNotFound, DatastoreUnavailable."""
        ...
