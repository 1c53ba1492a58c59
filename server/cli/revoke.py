"""``plexsphere-state revoke``: a role taken back from a subject."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli.options import AsJson
from server.cli.roles import Object, Relation, Subject, change_role

EXAMPLE = (
    "plexsphere-state revoke user:ann manage platform\n\n"
    "plexsphere-state revoke node:$PLEXSPHERE_NODE_ID node-agent node:$PLEXSPHERE_NODE_ID"
)


def revoke(
    subject: Subject,
    relation: Relation,
    object: Object,
    force: Annotated[
        bool, typer.Option("--force", help="Revoke the platform's last manager too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take a role back; harmless to repeat. A Node can lose the role of its own agent too.

    A request that begins after this command ended is not granted by the role. Exit code 1 when
    SpiceDB does not answer: the role holds until SpiceDB is back and the relay has revoked it.

    The platform's last manager stays, with exit code 3, unless --force is given.
    """
    change_role(subject, relation, object, granted=False, as_json=as_json, force=force)
