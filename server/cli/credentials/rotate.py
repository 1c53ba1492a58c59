"""``plexsphere-state credentials rotate``: the next node secret key of a Node."""

from __future__ import annotations

import secrets
from base64 import b64encode
from contextlib import closing

from server.cli.credentials.ledger import changing
from server.cli.operators import operator
from server.cli.options import AsJson, Dsn, Node, node_id, usable_dsn
from server.cli.screen import write_json

EXAMPLE = "plexsphere-state credentials rotate $PLEXSPHERE_NODE_ID > node_secret_key"


def rotate(node: Node, dsn: Dsn = "", as_json: AsJson = False) -> None:
    """Print a new secret key of a Node: what its agent keeps in the file node_secret_key.

    The key and the newest key before it are valid then, and no other. It is shown once, because the
    ledger has only its digest. The audit has a row. To end every older credential of a Node whose
    agent has lost them, revoke first.
    """
    from composer.credentials import SECRET_KEY_BYTES, SecretKey
    from db.credentials import OperatorCredentials

    addressed = node_id(node)
    key = SecretKey(secrets.token_bytes(SECRET_KEY_BYTES))
    with (
        closing(OperatorCredentials(usable_dsn(dsn))) as credentials,
        changing(addressed) as change,
    ):
        credentials.rotate_secret_key(change.node_id, key.digest, operator(), change.deadline)
    text = b64encode(key.secret).decode()
    if as_json:
        write_json({"node_id": addressed, "nsk": text})
    else:
        print(text)
