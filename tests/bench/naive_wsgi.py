"""The naive pull, for comparison: separate queries and ``json.dumps`` for every request.

No token, no SpiceDB, no validation, no audit: less work than the service does, done without what
the service remembers. Run by the same gunicorn with the same settings.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import psycopg2

from server.settings import read_settings
from tests.oracle import expected_body

_held = threading.local()
_dsn = read_settings().dsn


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """``/v1/nodes/{id}/state`` and nothing else."""
    path = environ["PATH_INFO"]
    if not path.endswith("/state"):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]
    if not hasattr(_held, "connection"):
        _held.connection = psycopg2.connect(_dsn)
        _held.connection.autocommit = True
    body = expected_body(_held.connection, path.split("/")[3])
    start_response(
        "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    )
    return [body]
