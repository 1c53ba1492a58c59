"""The naive way, for comparison: separate queries and ``json`` for every request.

No token, no SpiceDB, no validation, no audit: less work than the service does, done without what
the service remembers. Run by the same gunicorn with the same settings.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from typing import Any

import psycopg2

from server.settings import read_settings
from tests.oracle import expected_body

_held = threading.local()
_dsn = read_settings().dsn


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """``/v1/nodes/{id}/state`` and ``.../heartbeat``, and nothing else."""
    _, _, _, node_id, what = [*environ["PATH_INFO"].split("/"), *[""] * 5][:5]
    if what not in ("state", "heartbeat"):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]
    if not hasattr(_held, "connection"):
        _held.connection = psycopg2.connect(_dsn)
        _held.connection.autocommit = True
    if what == "state":
        body = expected_body(_held.connection, node_id)
    else:
        body = heartbeat(_held.connection, node_id, environ)
    start_response(
        "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    )
    return [body]


def heartbeat(connection: Any, node_id: str, environ: dict[str, Any]) -> bytes:
    """Look the Node up, then write; a transaction each."""
    message = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    with connection.cursor() as cursor:
        cursor.execute("SELECT domain_id FROM plexsphere.nodes WHERE id = %s", (node_id,))
        assert cursor.fetchone(), "no such Node"
        cursor.execute(
            "UPDATE plexsphere.nodes SET last_heartbeat_at = now() WHERE id = %s"
            " RETURNING last_heartbeat_at",
            (node_id,),
        )
        written = cursor.fetchone()[0]
    answer = {"client_now": message["client_now"], "last_heartbeat_at": written.isoformat()}
    return json.dumps(answer).encode()
