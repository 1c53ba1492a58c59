"""A change of a Node's credentials by a command: its ledger, and its errors as sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from server.cli.failures import ExitCode, Failure
from server.cli.options import usable_dsn

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
        with command_connections(usable_dsn(dsn), "plexsphere-state credentials") as connections:
            yield PostgresNodeCredentials(*connections)
    except NodeNotFound as error:
        sentence = f"the ledger has no Node {node}; nothing was changed."
        raise Failure(sentence, ExitCode.USAGE) from error
