"""The roles that an operator can grant: their names on the wire, and in SpiceDB."""

from __future__ import annotations

from dataclasses import dataclass

from composer.identity import PLATFORM, Principal, PrincipalKind, parse_canonical_uuid
from server.authn.tokens import parse_subject
from server.authz.tuples import RelationTuple

_PEOPLE = frozenset((PrincipalKind.USER, PrincipalKind.SERVICE))
_ANY_KIND = _PEOPLE | {PrincipalKind.NODE}


@dataclass(frozen=True, slots=True)
class Role:
    """Gates ask for ``permission``, SpiceDB stores ``relation``, on objects of ``kind``."""

    kind: str
    permission: str
    relation: str
    subjects: frozenset[PrincipalKind]


ROLES = (
    Role(kind="platform", permission="manage", relation="manager", subjects=_PEOPLE),
    Role(kind="domain", permission="domain-edit", relation="editor", subjects=_PEOPLE),
    Role(kind="domain", permission="domain-view", relation="viewer", subjects=_PEOPLE),
    Role(kind="domain", permission="auditor", relation="audit_reader", subjects=_PEOPLE),
    Role(kind="node", permission="node-agent", relation="agent", subjects=_ANY_KIND),
)


class NoSuchRole(ValueError):
    """The message is a sentence for the operator, and lists the roles."""


@dataclass(frozen=True, slots=True)
class RoleAssignment:
    """The role of a Principal on an object; ``tuple`` is its stored form."""

    role: Role
    principal: Principal
    object: str

    @property
    def tuple(self) -> RelationTuple:
        """The relationship as SpiceDB and the ledger spell it."""
        return RelationTuple(self.object, self.role.relation, self.principal.subject)


def parse_assignment(subject: str, relation: str, object: str) -> RoleAssignment:
    """The meaning of three words on a command line. Raises NoSuchRole."""
    name = PLATFORM if object == "platform" else object
    role = _role(_kind(name), relation)
    principal = parse_subject(subject)
    if principal is None:
        raise NoSuchRole(
            f"SUBJECT must be user:<id>, service:<id> or node:<uuid>, and is {subject!r}."
        )
    if principal.kind not in role.subjects:
        allowed = " or ".join(sorted(role.subjects))
        raise NoSuchRole(f"only a {allowed} can have {relation}, and {subject} is neither.")
    if principal.kind is PrincipalKind.NODE and principal.subject != name:
        # Its token would still be accepted here after the Node itself was removed.
        raise NoSuchRole(f"a Node can be only its own agent, and {subject} is not {object}.")
    return RoleAssignment(role, principal, name)


def permission_of(relation: str) -> str:
    """The wire's word for a stored relation; the relation itself where there is no word."""
    return next((role.permission for role in ROLES if role.relation == relation), relation)


def relationship(object: str, relation: str, subject: str) -> str:
    """A stored relationship as audit rows spell it: ``domain:<id>#domain-edit@user:ann``."""
    return f"{object}#{permission_of(relation)}@{subject}"


def _kind(name: str) -> str:
    kind, _, id = name.partition(":")
    is_known = kind in ("node", "domain") and parse_canonical_uuid(id) is not None
    if name != PLATFORM and not is_known:
        raise NoSuchRole(
            "OBJECT must be platform, domain:<uuid> or node:<uuid>, in lower case, "
            f"and is {name!r}."
        )
    return kind


def _role(kind: str, relation: str) -> Role:
    for role in ROLES:
        if (role.kind, role.permission) == (kind, relation):
            return role
    roles = ", ".join(f"{role.permission} on a {role.kind}" for role in ROLES)
    raise NoSuchRole(f"there is no {relation!r} on a {kind}; there is {roles}.")
