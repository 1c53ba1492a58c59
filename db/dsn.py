"""Whether a text is a DSN, by the driver's own parser."""

from __future__ import annotations

import psycopg2
from psycopg2.extensions import parse_dsn


def is_dsn(text: str) -> bool:
    """True for a libpq URI or key=value string that names a host."""
    try:
        return bool(parse_dsn(text).get("host"))
    except psycopg2.ProgrammingError:
        return False
