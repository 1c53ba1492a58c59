"""``plexsphere-state credentials revoke``: the end of every credential of a Node."""

from __future__ import annotations

import time
from uuid import UUID

from server.cli.credentials.ledger import SECONDS, node_credentials
from server.cli.operators import operator_write
from server.cli.options import AsJson, Dsn, Node, node_id
from server.cli.screen import Screen, plain, write_json

EXAMPLE = "plexsphere-state credentials revoke $PLEXSPHERE_NODE_ID"


def revoke(node: Node, dsn: Dsn = "", as_json: AsJson = False) -> None:
    """End every secret key of a Node and every token issued to it so far; harmless to repeat.

    A request that begins after this command ended is refused with 401. The Node stays registered;
    `plexsphere-state credentials rotate` gives it a key again. The audit has a row.
    """
    from composer.deadline import Deadline

    addressed = node_id(node)
    with node_credentials(addressed, dsn) as credentials:
        deadline = Deadline.after(SECONDS, time.monotonic)
        credentials.revoke(UUID(addressed), operator_write("node.revoke_credentials"), deadline)
    if as_json:
        write_json({"node_id": addressed, "revoked": True})
    else:
        Screen().print(plain(f"revoked: the credentials of node:{addressed}", "bold"))
