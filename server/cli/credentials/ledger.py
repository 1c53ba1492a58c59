"""A change of a Node's credentials by a command: its ledger, and its errors as sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from server.cli.contact import answering_dsn
from server.cli.failures import ExitCode, Failure

if TYPE_CHECKING:
    from db.credentials import PostgresNodeCredentials

SECONDS = 10.0


@contextmanager
def node_credentials(node: str, dsn: str) -> Iterator[PostgresNodeCredentials]:
    """The credentials of ``node`` in the ledger. Raises Failure where there is no such Node."""
    from composer.errors import NodeNotFound
    from db.connections import command_connections
    from db.credentials import PostgresNodeCredentials

    try:
        with command_connections(answering_dsn(dsn), "plexsphere-state credentials") as connections:
            yield PostgresNodeCredentials(*connections)
    except NodeNotFound as error:
        sentence = f"the ledger has no Node {node}; nothing was changed."
        raise Failure(sentence, ExitCode.USAGE) from error
