"""What a SpiceDB with an empty memory needs: the schema, and the tuples that the ledger implies."""

from collections.abc import Iterable, Iterator
from importlib.resources import files
from itertools import islice

from authzed.api.v1 import (
    ObjectReference,
    Relationship,
    RelationshipUpdate,
    SubjectReference,
    WriteRelationshipsRequest,
    WriteSchemaRequest,
)

# SpiceDB refuses more in one call.
UPDATES_PER_CALL = 1000


def schema_request() -> WriteSchemaRequest:
    schema = files("server.authz").joinpath("schema.zed").read_text(encoding="utf-8")
    return WriteSchemaRequest(schema=schema)


def agent_requests(node_ids: Iterable[str]) -> Iterator[WriteRelationshipsRequest]:
    """`node:<id>#agent@node:<id>` for every Node: each is its own agent."""
    ids = iter(node_ids)
    while chunk := list(islice(ids, UPDATES_PER_CALL)):
        yield WriteRelationshipsRequest(updates=[_agent(node_id) for node_id in chunk])


def _agent(node_id: str) -> RelationshipUpdate:
    node = ObjectReference(object_type="node", object_id=node_id)
    relationship = Relationship(
        resource=node, relation="agent", subject=SubjectReference(object=node)
    )
    # TOUCH, so that doing it again is no error.
    return RelationshipUpdate(
        operation=RelationshipUpdate.OPERATION_TOUCH, relationship=relationship
    )
