"""Parameters and members of bodies, as far as code is written from them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from server.dev.breaking.documents import Document, Place
from server.dev.scaffold.layout import literal, value
from server.parameters import ParameterContract
from server.signatures import PYTHON_TYPE, annotation, python_name

BODY = ("body", "Mapping[str, Any]")  # what server/signatures.py asks for
# What may stand for a value of a type that nobody shows an example of.
SAMPLES: Mapping[str, object] = {"str": "a", "int": 1, "bool": True, "float": 1.5}


class ScaffoldError(Exception):
    """Why there is nothing to print, in one sentence for the author of the contract."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A declared path or query parameter, or a member of a body.

    ``name`` is Python's, ``spelled`` the file's; ``given`` when a value always arrives, ``asked``
    when a request without it is refused. ``example`` is the file's, or a value of its type.
    """

    name: str
    spelled: str
    annotation: str
    given: bool
    asked: bool = True
    kind: str = "body"
    example: object = None

    @property
    def declared(self) -> str:
        """As it stands in a signature."""
        return f"{self.name}: {self.annotation}{'' if self.given else ' = None'}"

    @property
    def sample(self) -> str:
        """The example in Python."""
        return value(self.example)

    @property
    def text(self) -> str:
        """The example in a URL, nothing of it escaped."""
        return self.example if isinstance(self.example, str) else json.dumps(self.example)

    @property
    def read(self) -> str:
        """How a handler reads a member of its body."""
        name = literal(self.spelled)
        return f"body[{name}]" if self.given else f"body.get({name})"


def parameter(declared: ParameterContract, document: Document, members: Place | None) -> Parameter:
    """One of the contract. Raises ScaffoldError where Python has no name or no type for it."""
    if not declared.name.isidentifier():
        raise ScaffoldError(f"parameter {declared.name} cannot be a name in Python.")
    python = annotation(declared)
    if python.startswith("no type"):
        raise ScaffoldError(f"parameter {declared.name}: {python}.")
    example = document.mapping(members).get("example")
    return Parameter(
        python_name(declared.name),
        declared.name,
        python,
        declared.given,
        asked=declared.required,
        kind=declared.kind,
        example=_of_type(python) if example is None else example.value,
    )


def body_members(document: Document, body: Place | None) -> tuple[Parameter, ...]:
    """The members of a closed object; of any other body none, and it is handed on whole."""
    content = document.mapping(document.mapping(body).get("content"))
    media = document.mapping(content.get("application/json"))
    schema = document.mapping(media.get("schema"))
    required = [one.value for one in document.listing(schema.get("required"))]
    return tuple(
        _member(document, name, one, name in required)
        for name, one in document.mapping(schema.get("properties")).items()
    )


def _member(document: Document, name: str, place: Place, given: bool) -> Parameter:
    schema = document.mapping(place)
    kind = str(schema["type"].value) if "type" in schema else "object"
    items = document.mapping(schema.get("items"))
    item = PYTHON_TYPE.get(str(items["type"].value), "Any") if "type" in items else "Any"
    bare = {"object": "Mapping[str, Any]", "array": f"list[{item}]", **PYTHON_TYPE}[kind]
    is_nullable = "nullable" in schema and schema["nullable"].value
    python = bare if given and not is_nullable else f"{bare} | None"
    named = python_name(name) if name.isidentifier() else "member"
    return Parameter(named, name, python, given, example=_of_type(bare))


def _of_type(python: str) -> object:
    bare = python.removesuffix(" | None")
    if bare.startswith("list["):
        item = bare.removeprefix("list[").removesuffix("]")
        return [SAMPLES[item]] if item in SAMPLES else []
    return SAMPLES.get(bare, {})


def varies(document: Document, schema: Place | None) -> bool:
    """Whether one answer cannot show all: a key that may be absent, or a word of several."""
    return any(_is_varied(one) for one in _objects(document, schema, set()))


def _objects(document: Document, schema: Place | None, seen: set[str]) -> Iterator[Any]:
    if schema is None:
        return
    schema = document.follow(schema)
    if schema.pointer in seen:
        return
    seen.add(schema.pointer)
    members = document.mapping(schema)
    yield schema.value
    yield from _objects(document, members.get("items"), seen)
    for one in document.mapping(members.get("properties")).values():
        yield from _objects(document, one, seen)


def _is_varied(schema: Mapping[str, Any]) -> bool:
    optional = schema.get("properties", {}).keys() - set(schema.get("required", ()))
    return bool(optional) or schema.get("nullable", False) or len(schema.get("enum", ())) > 1
