"""OpenAPI 3.0 schemas compiled for jsonschema-rs, with every format asserted.

OpenAPI 3.0 is Draft 4 with extras. Translated are ``nullable``, ``readOnly`` and ``writeOnly``, and
the formats that Draft 4 or the library leave unchecked: they become rules that the library does
check. A schema has one translation for each direction, because a required ``readOnly`` member is
required of answers only, and forbidden in requests. In an answer, an object has the members that
the file lists and no others, although the file opens it: a client must accept later members.
``x-free-keys`` beside the members allows others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from enum import Enum
from functools import partial
from typing import Any, NamedTuple

import jsonschema_rs

from server.contract.errors import PartError
from server.contract.formats import RECEIVED, SENT
from server.contract.keywords import Schema, is_pattern, keyword_faults
from server.contract.pointers import LONGEST_CHAIN, format_pointer, resolve_pointer

_DROPPED = {
    *("nullable", "format", "example", "description", "title", "deprecated", "xml"),
    *("default", "discriminator", "externalDocs", "readOnly", "writeOnly"),
}
_ANNOTATIONS = {"description", "title", "example", "externalDocs"}
_MAPS = {"properties", "definitions"}
_LISTS = {"allOf", "anyOf", "oneOf"}
_SINGLES = {"items", "not", "additionalProperties"}
_INNER = _MAPS | _LISTS | _SINGLES
COMBINERS = ("allOf", "oneOf", "anyOf")

Follow = Callable[[Schema], Schema]
Report = Callable[[PartError], None]


class Direction(Enum):
    """The sender of a value; ``value`` is the keyword of members that it must not have."""

    REQUEST = "readOnly"
    ANSWER = "writeOnly"


class ValueFault(NamedTuple):
    """The place where a value breaks a schema: two JSON pointers, and never the value.

    ``absent_or_undeclared`` is the name of a member that is required and absent, or undeclared.
    """

    pointer: str
    rule: str
    absent_or_undeclared: str | None = None

    @property
    def member(self) -> str | None:
        """The member of the value that is wrong; None where the value itself is."""
        if not self.pointer:
            return self.absent_or_undeclared
        return self.pointer.split("/")[1].replace("~1", "/").replace("~0", "~")


class Validator:
    """One compiled schema. Thread-safe; holds the interpreter lock while it runs."""

    __slots__ = ("_compiled",)

    def __init__(self, compiled: jsonschema_rs.Draft4Validator) -> None:
        self._compiled = compiled

    def is_valid(self, value: object) -> bool:
        """Whether the value keeps every rule."""
        return self._compiled.is_valid(value)

    def fault(self, value: object) -> ValueFault | None:
        """The first rule that the value breaks, or None."""
        if self._compiled.is_valid(value):
            return None
        return _fault(next(iter(self._compiled.iter_errors(value))))

    def validate(self, value: object) -> None:
        """Raises ValueError for a value that breaks a rule; the message quotes the value."""
        self._compiled.validate(value)

    def faults(self, value: object) -> list[ValueFault]:
        """Every rule that the value breaks, in the library's order."""
        return [_fault(error) for error in self._compiled.iter_errors(value)]


def raise_fault(error: PartError) -> None:
    """The report of a compiler whose schemas must be right."""
    raise error


class SchemaCompiler:
    """Compiles the schemas of one document.

    ``report`` is called for each fault of a schema; other faults are raised as PartError.
    """

    def __init__(self, document: Mapping[str, Any], report: Report = raise_fault) -> None:
        self._translations = {
            direction: _Translation(document, direction, report) for direction in Direction
        }
        self._report = report
        self._compiled: dict[tuple[Direction | None, str], Validator] = {}

    def compile(self, schema: Schema, direction: Direction = Direction.ANSWER) -> Validator:
        """A validator for one schema of the document; the same one for the same rules."""
        translation = self._translations[direction]
        references: set[str] = set()
        rules = translation.rules(schema, references)
        definitions = translation.definitions(references)
        known = (direction if references else None, json.dumps(rules))
        if known not in self._compiled:
            try:
                compiled = _compile({"allOf": [rules], "definitions": definitions})
            except ValueError as error:
                sentence = str(error).splitlines()[0]
                raise PartError(sentence, translation.faulty_part(schema) or schema) from error
            self._compiled[known] = Validator(compiled)
        return self._compiled[known]

    def forbids(self, schema: Schema, direction: Direction = Direction.ANSWER) -> bool:
        """Whether a value of the direction must not have a member of this schema."""
        return self._translations[direction].is_forbidden(schema)

    def references(self) -> list[str]:
        """The reference behind each number in ``definitions`` of the answers' schemas."""
        return [*self._translations[Direction.ANSWER].names]

    def check(self, schema: Schema) -> None:
        """Translate a schema that may have no user, for its faults alone."""
        self._translations[Direction.ANSWER].rules(schema, set())

    def check_defaults(self) -> None:
        """Report the defaults that their own schemas forbid."""
        for direction, translation in self._translations.items():
            for schema in list(translation.with_default):
                try:
                    self.compile(schema, direction).validate(schema["default"])
                except ValueError as error:
                    self._report(PartError(str(error).splitlines()[0], schema, "default"))


def follow(document: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    """The end of a chain of references. Raises PartError."""
    found: Any = part
    for _ in range(LONGEST_CHAIN):
        if "$ref" not in found:
            return found  # type: ignore[no-any-return]
        try:
            found = resolve_pointer(document, found["$ref"])
        except (LookupError, ValueError) as error:
            raise PartError(f"$ref {found['$ref']} points to nothing", found, "$ref") from error
        if not isinstance(found, Mapping):
            raise PartError(f"$ref {part['$ref']} leads to no object", part, "$ref")
    raise PartError(f"$ref {part['$ref']} leads to itself", part, "$ref")


def combined(schema: Schema, follow: Follow, keys: Collection[str] = COMBINERS) -> Iterator[Schema]:
    """The schema and all that it combines under these keys, references followed."""
    schema = follow(schema)
    yield schema
    for key in keys:
        for inner in schema.get(key, ()):
            yield from combined(inner, follow, keys)


class _Translation:
    """Schemas as Draft 4 for one direction; ``$ref`` names one of ``definitions``."""

    def __init__(self, document: Mapping[str, Any], direction: Direction, report: Report) -> None:
        self._document = document
        self._follow = partial(follow, document)
        self._direction = direction
        self._formats = SENT if direction is Direction.ANSWER else RECEIVED
        self._report = report
        self.names: dict[str, str] = {}
        self._rules: dict[str, Any] = {}
        self._references: dict[str, set[str]] = {}
        self.with_default: list[Schema] = []

    def rules(
        self,
        schema: Any,
        references: set[str],
        forbidden: frozenset[str] = frozenset(),
        *,
        is_part: bool = False,
    ) -> Any:
        """The rules of a schema; adds to ``references`` what they refer to.

        - ``forbidden``: members that are not required, whatever the schema says, because a schema
          around it forbids them.
        - ``is_part``: a schema around it decides which members an object may have.
        """
        if not isinstance(schema, Mapping):
            return schema
        if "$ref" in schema:
            for key in schema.keys() - _ANNOTATIONS - {"$ref"}:
                self._report(PartError("what stands beside $ref is ignored", schema, key))
            target = self._follow(schema)
            if forbidden & self._required(target) or (is_part and self._listed(target)):
                return self.rules(target, references, forbidden, is_part=is_part)
            references.add(schema["$ref"])
            self._define(schema["$ref"], target)
            return {"$ref": f"#/definitions/{self.names[schema['$ref']]}"}
        for error in keyword_faults(schema):
            self._report(error)
        if "default" in schema:
            self.with_default.append(schema)
        own = self._forbidden(schema)
        forbidden |= own
        rules: dict[str, Any] = {}
        for key, value in schema.items():
            if key in _MAPS:
                rules[key] = {
                    name: {"not": {}}
                    if key == "properties" and name in own and self.is_forbidden(inner)
                    else self.rules(inner, references)
                    for name, inner in value.items()
                }
            elif key in _LISTS:
                rules[key] = [
                    self.rules(inner, references, forbidden, is_part=True) for inner in value
                ]
            elif key in _SINGLES:
                rules[key] = self.rules(value, references, is_part=key == "not")
            elif key == "required":
                required = [name for name in value if name not in forbidden]
                if required:
                    rules[key] = required
            elif key == "pattern" and not is_pattern(value):
                continue  # told before
            elif key not in _DROPPED and not key.startswith("x-"):
                rules[key] = value
        listed = frozenset() if is_part else self._listed(schema)
        if listed:
            own = rules.get("properties", {})
            rules["properties"] = own | {name: {} for name in sorted(listed - own.keys())}
            rules["additionalProperties"] = False
        if schema.get("format") in self._formats:
            rules["allOf"] = [*rules.get("allOf", []), self._formats[schema["format"]]]
        if schema.get("nullable"):
            if "type" in schema:
                _allow_null(rules)
            else:
                self._report(PartError("nullable needs a type beside it", schema, "nullable"))
        return rules

    def definitions(self, references: set[str]) -> dict[str, Any]:
        """The rules behind references, and behind the references of those."""
        reached: set[str] = set()
        waiting = set(references)
        while waiting:
            reference = waiting.pop()
            reached.add(reference)
            waiting |= self._references[reference] - reached
        return {self.names[reference]: self._rules[reference] for reference in sorted(reached)}

    def faulty_part(self, schema: Any) -> object:
        """The innermost part of a schema that the library does not compile; None if there is none.

        Only for a schema whose translation is no valid schema: each part is compiled alone.
        """
        waiting, seen = [schema], set()
        faulty_part = None
        while waiting:
            part = waiting.pop()
            if not isinstance(part, Mapping) or id(part) in seen:
                continue
            seen.add(id(part))
            if "$ref" in part:
                waiting.append(self._follow(part))
                continue
            if not _compiles({key: part[key] for key in part if key not in _INNER}):
                faulty_part = part
            for key in part.keys() & (_MAPS | _LISTS | _SINGLES):
                inner = part[key]
                inner = inner.values() if key in _MAPS else inner if key in _LISTS else [inner]
                waiting += inner
        return faulty_part

    def _define(self, reference: str, target: Mapping[str, Any]) -> None:
        if reference in self._rules:
            return
        self.names.setdefault(reference, str(len(self.names)))
        self._rules[reference] = {}  # a schema may refer to itself
        references: set[str] = set()
        try:
            self._rules[reference] = self.rules(target, references)
        except BaseException:
            del self._rules[reference]
            raise
        self._references[reference] = references

    def _listed(self, schema: Schema) -> frozenset[str]:
        """The only members that an object may have, although the file does not close it."""
        parts = [*combined(schema, self._follow)]
        if self._direction is Direction.REQUEST or any(map(_says_which_keys, parts)):
            return frozenset()
        return frozenset(name for part in parts for name in part.get("properties", ()))

    def _forbidden(self, schema: Schema) -> frozenset[str]:
        """The members that a value of this direction must not have."""
        return frozenset(
            name
            for part in combined(schema, self._follow, ("allOf",))
            for name, inner in part.get("properties", {}).items()
            if self.is_forbidden(inner)
        )

    def is_forbidden(self, schema: Any) -> bool:
        """Whether a member of this schema is forbidden in the direction."""
        if not isinstance(schema, Mapping):
            return False
        return any(
            part.get(self._direction.value) is True
            for part in combined(schema, self._follow, ("allOf",))
        )

    def _required(self, schema: Schema) -> frozenset[str]:
        parts = combined(schema, self._follow, ("allOf",))
        return frozenset(name for part in parts for name in part.get("required", ()))


def _says_which_keys(schema: Schema) -> bool:
    """Whether a schema decides about the members that it does not list."""
    return schema.get("additionalProperties", True) is not True or "x-free-keys" in schema


def _compile(rules: Any) -> jsonschema_rs.Draft4Validator:
    return jsonschema_rs.Draft4Validator(
        rules, validate_formats=True, ignore_unknown_formats=False, offline=True
    )


def _compiles(rules: Mapping[str, Any]) -> bool:
    kept = {key: value for key, value in rules.items() if key not in _DROPPED}
    try:
        _compile({key: value for key, value in kept.items() if not key.startswith("x-")})
    except ValueError:
        return False
    return True


def _allow_null(rules: dict[str, Any]) -> None:
    rules["type"] = [rules["type"], "null"]
    if "enum" in rules:
        rules["enum"] = [*rules["enum"], None]


def _fault(error: jsonschema_rs.ValidationError) -> ValueFault:
    member, kind = None, error.kind
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):
        member = kind.property
    elif isinstance(kind, jsonschema_rs.ValidationErrorKind.AdditionalProperties):
        member = kind.unexpected[0]
    return ValueFault(
        format_pointer(error.instance_path), format_pointer(error.schema_path), member
    )
