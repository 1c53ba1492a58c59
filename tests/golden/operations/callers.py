"""The callers, and the relations that SpiceDB grants each of them (``server/authz/schema.zed``)."""

from __future__ import annotations

from dataclasses import dataclass

from composer.identity import PLATFORM, domain_object, node_object
from tests.factories import DOMAIN, node_id
from tests.fakes import Triple

NODES = tuple(node_object(node_id(number)) for number in (1, 2, 3))
OF_DOMAIN = domain_object(DOMAIN)


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller by name; ``bearer`` is the credential that ``FakeService`` reads, None for none.

    ``grants`` are (relation, resource), as SpiceDB's permissions resolve.
    """

    name: str
    bearer: str | None
    grants: tuple[tuple[str, str], ...] = ()

    @property
    def subject(self) -> str:
        """The caller in audit rows and relationships; empty for nobody."""
        if self.bearer is None:
            return ""
        return node_object(node_id(int(self.bearer))) if self.bearer.isdigit() else self.bearer

    def triples(self) -> set[Triple]:
        """The relations of a checker."""
        return {(self.subject, relation, resource) for relation, resource in self.grants}


def _agent(number: int) -> tuple[tuple[str, str], ...]:
    return (("node-agent", NODES[number - 1]), ("node-view", NODES[number - 1]))


_VIEW = (
    ("domain-view", OF_DOMAIN),
    *(pair for node in NODES for pair in (("domain-view", node), ("node-view", node))),
)
_EDIT = (("domain-edit", OF_DOMAIN), *(("domain-edit", node) for node in NODES), *_VIEW)

NOBODY = Caller("nobody", None)
AGENT = Caller("the Node's agent", "1", _agent(1))
OTHER_AGENT = Caller("another Node's agent", "2", _agent(2))
# A person whom an operator lets stand in for the Node.
STAND_IN = Caller("a stand-in for the Node", "user:stand-in", _agent(1))
EDITOR = Caller("a Domain editor", "user:editor", _EDIT)
VIEWER = Caller("a Domain viewer", "user:viewer", _VIEW)
AUDITOR = Caller("an auditor", "user:auditor", (("auditor", OF_DOMAIN),))
MANAGER = Caller("a platform manager", "user:manager", (("manage", PLATFORM), *_EDIT))
# SpiceDB has not heard yet of what the Domain and its Nodes have to do with the platform.
EARLY_MANAGER = Caller("a manager before the relationships", "user:early", (("manage", PLATFORM),))
STRANGER = Caller("a stranger", "user:stranger")

EVERY_CALLER = (
    NOBODY,
    AGENT,
    OTHER_AGENT,
    STAND_IN,
    EDITOR,
    VIEWER,
    AUDITOR,
    MANAGER,
    EARLY_MANAGER,
    STRANGER,
)
# One for each way into an operation, where the world differs only behind the relation.
GRANTED = (AGENT, EDITOR, AUDITOR, MANAGER)
# For what is refused whoever asks, or is granted to the same callers as the well-formed request.
MOST = (NOBODY, *GRANTED, STRANGER)
