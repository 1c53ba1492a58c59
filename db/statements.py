"""The named statements of ``db/queries``: Python holds no SQL text."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def statement(name: str) -> str:
    """The text of ``db/queries/<name>.sql``."""
    return files("db").joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")
