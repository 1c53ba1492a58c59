"""``plexsphere-state credentials rotate``: the next node secret key of a Node."""

from __future__ import annotations

import time
from base64 import b64encode
from uuid import UUID

from server.cli.credentials.ledger import SECONDS, node_credentials
from server.cli.operators import operator_write
from server.cli.options import AsJson, Dsn, Node, node_id
from server.cli.screen import write_json

EXAMPLE = "plexsphere-state credentials rotate $PLEXSPHERE_NODE_ID > node_secret_key"


def rotate(node: Node, dsn: Dsn = "", as_json: AsJson = False) -> None:
    """Print a new secret key of a Node: what its agent keeps in the file node_secret_key.

    The key and the newest key before it are valid then, and no other. It is shown once, because the
    ledger has only its digest. The audit has a row. To end every older credential of a Node whose
    agent has lost them, revoke first.
    """
    from composer.deadline import Deadline
    from server.authn.secret_keys import RandomSecretKeys

    addressed, key = node_id(node), RandomSecretKeys().new()
    with node_credentials(addressed, dsn) as credentials:
        credentials.rotate_secret_key(
            node_id=UUID(addressed),
            digest=key.digest,
            write=operator_write("node.rotate_secret_key"),
            deadline=Deadline.after(SECONDS, time.monotonic),
        )
    text = b64encode(key.secret).decode()
    if as_json:
        write_json({"node_id": addressed, "nsk": text})
    else:
        print(text)
