"""``plexsphere-state grant``: a role for a subject."""

from __future__ import annotations

from server.cli.options import AsJson
from server.cli.roles import Object, Relation, Subject, change_role

EXAMPLE = (
    "plexsphere-state grant user:ann manage platform\n\n"
    "plexsphere-state grant user:bob domain-edit domain:$PLEXSPHERE_DOMAIN_ID"
)


def grant(subject: Subject, relation: Relation, object: Object, as_json: AsJson = False) -> None:
    """Give a subject a role; harmless to repeat. The role ends with its Domain or Node.

    When this command ends, the ledger and its audit have the role. It holds at once, or within a
    second for a subject that was refused just before. Exit code 1 when SpiceDB does not answer:
    the relay grants the role when SpiceDB is back.
    """
    change_role(subject, relation, object, granted=True, as_json=as_json)
