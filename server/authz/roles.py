"""The roles an operator can give: as they are said on the wire, and as SpiceDB stores them."""

from __future__ import annotations

from dataclasses import dataclass

from composer.identity import PLATFORM, Principal, PrincipalKind, parse_canonical_uuid
from server.authn.tokens import parse_subject
from server.authz.writer import RelationTuple

_PEOPLE = frozenset((PrincipalKind.USER, PrincipalKind.SERVICE))
_ANYONE = frozenset(PrincipalKind)


@dataclass(frozen=True, slots=True)
class Role:
    """``permission`` is asked, ``relation`` is stored, on objects of ``kind``."""

    kind: str
    permission: str
    relation: str
    subjects: frozenset[PrincipalKind]


ROLES = (
    Role("platform", "manage", "manager", _PEOPLE),
    Role("domain", "domain-edit", "editor", _PEOPLE),
    Role("domain", "domain-view", "viewer", _PEOPLE),
    Role("domain", "auditor", "audit_reader", _PEOPLE),
    Role("node", "node-agent", "agent", _ANYONE),
)


class NoSuchRole(ValueError):
    """The message is a sentence for who asked, and lists what there is."""


@dataclass(frozen=True, slots=True)
class Given:
    """A role of somebody on something; ``tuple`` is how it is stored."""

    role: Role
    principal: Principal
    object: str

    @property
    def tuple(self) -> RelationTuple:
        """As SpiceDB and the ledger spell it."""
        return RelationTuple(self.object, self.role.relation, self.principal.subject)


def given(subject: str, relation: str, object: str) -> Given:
    """What three words on a command line mean. Raises NoSuchRole."""
    name = PLATFORM if object == "platform" else object
    role = _role(_kind(name), relation)
    principal = parse_subject(subject)
    if principal is None:
        raise NoSuchRole(
            f"SUBJECT must be user:<id>, service:<id> or node:<uuid>, and is {subject!r}."
        )
    if principal.kind not in role.subjects:
        allowed = " or ".join(sorted(role.subjects))
        raise NoSuchRole(f"{relation} can be given to a {allowed}, and {subject} is none.")
    if principal.kind is PrincipalKind.NODE and principal.subject != name:
        # its token would go on here when the Node itself is gone
        raise NoSuchRole(f"a Node is nobody's agent but its own, and {subject} is not {object}.")
    return Given(role, principal, name)


def permission_of(relation: str) -> str:
    """The wire's word for a stored relation; the relation itself where it has none."""
    return next((one.permission for one in ROLES if one.relation == relation), relation)


def relationship(object: str, relation: str, subject: str) -> str:
    """A stored relationship as audit rows say it: ``domain:<id>#domain-edit@user:ann``."""
    return f"{object}#{permission_of(relation)}@{subject}"


def _kind(name: str) -> str:
    kind, _, id = name.partition(":")
    is_known = kind in ("node", "domain") and parse_canonical_uuid(id) is not None
    if name != PLATFORM and not is_known:
        raise NoSuchRole(
            "OBJECT is to be platform, domain:<uuid> or node:<uuid>, in lower case, "
            f"and is {name!r}."
        )
    return kind


def _role(kind: str, relation: str) -> Role:
    for one in ROLES:
        if (one.kind, one.permission) == (kind, relation):
            return one
    there = ", ".join(f"{one.permission} on a {one.kind}" for one in ROLES)
    raise NoSuchRole(f"there is no {relation!r} on a {kind}; there is {there}.")
