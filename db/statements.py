"""The SQL of ``db/queries``: one file for each noun, with named queries. Python holds no SQL text.

A query begins with ``-- name: <name>``. The comment lines that follow say which function sends it
and which indexes it uses. Parameters are psycopg2's: ``%(node_id)s``. Four directives:

``-- prepare: <parameter> <type>, ...``
    Each connection prepares the statement once, with these parameters in this order.
``-- first: <name>``
    That query is sent before each EXECUTE in the same message, so in the same transaction.
``-- fragment: <name>``
    Begins a text that is not a statement of its own.
``-- include: <name>``
    In a body, on a line of its own: the text of that fragment, indented as this line is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_BEGINS = re.compile(r"^-- (name|fragment): (\w+)\n", re.MULTILINE)
_INCLUDE = re.compile(r"^( *)-- include: (\w+)$", re.MULTILINE)
_PARAMETER = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True, slots=True)
class Query:
    """A query as it is written; ``header`` is its comment, without directives."""

    name: str
    file: str
    is_fragment: bool
    header: str
    parameters: Mapping[str, str]
    first: str | None
    body: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """The name of a query that each connection prepares once."""

    name: str

    @property
    def prepare(self) -> str:
        """Sent once a connection, without arguments."""
        return _prepare(self.name)

    @property
    def execute(self) -> str:
        """Sent each time, with the arguments by name."""
        return _execute(self.name)


@cache
def statement(name: str) -> str:
    """The text of a query, with its fragments. Raises KeyError for an unknown name."""

    def included(line: re.Match[str]) -> str:
        fragment = statement(line[2]).rstrip("\n")
        return "\n".join(line[1] + part for part in fragment.split("\n"))

    return _INCLUDE.sub(included, queries()[name].body)


@cache
def queries() -> Mapping[str, Query]:
    """Every query of every file, by name. Raises ValueError where two have the same name."""
    found: dict[str, Query] = {}
    for entry in files("db").joinpath("queries").iterdir():
        if entry.name.endswith(".sql"):
            for query in parse(entry.name, entry.read_text(encoding="utf-8")):
                if query.name in found:
                    raise ValueError(f"{entry.name} and {found[query.name].file}: {query.name}")
                found[query.name] = query
    return found


def parse(file: str, text: str) -> Iterator[Query]:
    """The queries of one file; the text before the first query is about the file."""
    _, *parts = _BEGINS.split(text)
    for kind, name, content in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        lines = content.strip().split("\n")
        header: list[str] = []
        directives: dict[str, list[str]] = {"prepare": [], "first": []}
        while lines and lines[0].startswith("-- ") and not _INCLUDE.match(lines[0]):
            comment = lines.pop(0).removeprefix("-- ")
            directive, _, value = comment.partition(": ")
            directives.get(directive, header).append(value if directive in directives else comment)
        declared = [pair.strip() for line in directives["prepare"] for pair in line.split(",")]
        yield Query(
            name=name,
            file=file,
            is_fragment=kind == "fragment",
            header="\n".join(header),
            parameters=dict(pair.split(" ", 1) for pair in declared),
            first=next(iter(directives["first"]), None),
            body="\n".join(lines) + "\n",
        )


@cache
def _prepare(name: str) -> str:
    parameters = queries()[name].parameters
    places = {parameter: f"${place}" for place, parameter in enumerate(parameters, 1)}
    body = _PARAMETER.sub(lambda found: places[found[1]], statement(name)).replace("%%", "%")
    types = f" ({', '.join(parameters.values())})" if parameters else ""
    return f"PREPARE {name}{types} AS\n{body}"


@cache
def _execute(name: str) -> str:
    query = queries()[name]
    before = statement(query.first) if query.first else ""
    arguments = ", ".join(f"%({name})s::{type}" for name, type in query.parameters.items())
    return f"{before}EXECUTE {name} ({arguments});"
