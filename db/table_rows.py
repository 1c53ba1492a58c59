"""What `db.bulk` loads; apart from it, so that making rows does not import the driver."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TableRows:
    """Rows for `plexsphere.<table>`; a value is None, bytes, or printed as Postgres reads it."""

    table: str
    columns: tuple[str, ...]
    rows: Iterable[tuple[object, ...]]
