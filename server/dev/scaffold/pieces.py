"""A piece of text and where it goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from server.dev.scaffold.layout import import_block

NEW = "a new file"
ADDED = "exists: add"


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a file; ``how`` says what to do with it there, ``imports`` what the file lacks.

    ``note`` is what nobody can print.
    """

    path: str
    how: str
    code: str
    imports: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def text(self) -> str:
        """As it is printed."""
        lacking = f"{import_block(self.imports)}\n" if self.imports else ""
        note = f"; {self.note}" if self.note else ""
        return f"# {self.path}: {self.how}{note}\n\n{lacking}{self.code}"


def in_order(parts: Iterable[Part]) -> list[Part]:
    """One part a place, where its first one stands; what a file is given once, it is given once."""
    places: dict[tuple[str, str], Part] = {}
    given: set[tuple[str, str]] = set()
    for part in parts:
        left = {k: v for k, v in part.imports.items() if (part.path, k) not in given}
        given |= {(part.path, name) for name in left}
        found = places.get((part.path, part.how), replace(part, imports={}, code=""))
        places[part.path, part.how] = replace(
            found, imports={**found.imports, **left}, code=found.code + part.code
        )
    return list(places.values())
