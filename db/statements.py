"""The named statements of ``db/queries``: Python holds no SQL text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@cache
def statement(name: str) -> str:
    """The text of ``db/queries/<name>.sql``."""
    return files("db").joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement that a connection parses and plans once; two files, ``<name>`` prepares it."""

    name: str

    @property
    def prepare(self) -> str:
        """Once per connection."""
        return statement(self.name)

    @property
    def execute(self) -> str:
        """Every time, with its arguments."""
        return statement(f"{self.name}_execute")
