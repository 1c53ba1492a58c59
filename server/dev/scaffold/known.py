"""Where each name is from that printed code uses."""

from __future__ import annotations

from collections.abc import Mapping

from server.dev.scaffold.codes import Refusals
from server.dev.scaffold.homes import Home
from server.dev.scaffold.operations import Operation
from server.dev.scaffold.tree import Tree

_MODULES: Mapping[str, str] = {
    "collections.abc": "Mapping",
    "composer.deadline": "Deadline",
    "composer.errors": "ComposerError DatastoreUnavailable",
    "composer.identity": """
        PLATFORM AddressedDomain AddressedNode Principal domain_object node_object
    """,
    "composer.ports": "AuditSink DomainRepo NodeRepo RelationChecker SilentAudit",
    "dataclasses": "dataclass field replace",
    "db.pool": "ReadPool",
    "db.write_pool": "WritePool",
    "handlers.answers": "Answer Call",
    "handlers.refusals": """
        DATASTORE_UNAVAILABLE INSUFFICIENT_RELATION UNAUTHORIZED RefusalKind Refused refusal_for
    """,
    "typing": "Any Protocol",
    "uuid": "UUID",
}
# Elsewhere something of one's own is spelled like some of these.
_OF_HANDLERS: Mapping[str, str] = {
    "handlers.domain_gates": """
        DOMAIN_EDIT DOMAIN_VIEW MANAGE canonical_domain_id granted_domain platform_role
    """,
    "handlers.gates": """
        GRANTED NODE_AGENT Asked addressed_node audit audit_done canonical_node_id known_principal
        node_agent
    """,
}
_OF_TESTS: Mapping[str, str] = {
    "pytest": "pytest",
    "tests.bodies": "example_answer",
    "tests.factories": "DOMAIN addressed agent_of call node_id",
    "tests.fakes": """
        FakeAuditSink FakeDomainRepo FakeNodeRepo FakeRelationChecker
    """,
}


def known_names(
    path: str, operation: Operation, home: Home, refusals: Refusals, tree: Tree
) -> dict[str, str]:
    """Name -> module, for a file of the tree."""
    of_rooms = {"handlers": _OF_HANDLERS, "tests": _OF_TESTS}
    modules = {**_MODULES, **of_rooms.get(path.partition("/")[0], {})}
    found = {name: module for module, names in modules.items() for name in names.split()}
    kinds = [*tree.refusals.values(), *(one.constant for one in refusals.every)]
    found |= dict.fromkeys(kinds, "handlers.refusals")
    source = tree.source(home.module)
    for name in (operation.function, home.ports, f"refuse_{home.slice}"):
        found[name] = f"handlers.{home.slice}"
    for field in home.fields.values():
        if source is not None and field in source.imports:
            found[field] = source.imports[field]
    found[home.adapter] = home.adapter_path.removesuffix(".py").replace("/", ".")
    found[home.fake] = home.fake_path.removesuffix(".py").replace("/", ".")
    return found
