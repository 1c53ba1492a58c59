"""Drift gates between what handlers give and take and what the contract declares, by key.

As in ``drift.py``: plain functions from what is compared to complaints.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from handlers.answers import JSON, Answer
from handlers.wire import SnapshotBody
from server.contract.document import METHODS

Schema = Mapping[str, Any]
Words = Collection[tuple[str, str]]
# What a schema may be read by; anything else would be passed over unseen.
READ = {"type", "properties", "required", "items", "additionalProperties", "nullable", "enum"}
READ |= {"x-free-keys"}
SAID = {"description", "format", "pattern", "not"}
BOUNDS = {"minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems"}


@dataclass(frozen=True, slots=True)
class Given:
    """An answer of a handler; ``value`` is read back from the bytes it would be."""

    operation: str
    status: int
    value: Any

    @classmethod
    def of(cls, operation: str, answer: Answer) -> Given:
        body = answer.body
        if isinstance(body, SnapshotBody):
            body = json.loads(body.to_bytes())
        return cls(operation, answer.status, body)


class Recorded(Mapping[str, Any]):
    """A request body that notes which members were asked for, and whether as if always there."""

    def __init__(self, value: Mapping[str, Any], reads: dict[str, bool], at: str = "") -> None:
        self._value = value
        self._reads = reads
        self._at = at

    def __getitem__(self, name: str) -> Any:
        self._reads.setdefault(f"{self._at}{name}", True)
        return self._member(name, self._value[name])

    def get(self, name: str, default: Any = None) -> Any:
        self._reads[f"{self._at}{name}"] = False
        return self._member(name, self._value.get(name, default))

    def __contains__(self, name: object) -> bool:
        self._reads[f"{self._at}{name}"] = False
        return name in self._value

    def _member(self, name: str, value: Any) -> Any:
        is_object = isinstance(value, Mapping)
        return Recorded(value, self._reads, f"{self._at}{name}.") if is_object else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._value)

    def __len__(self) -> int:
        return len(self._value)


@dataclass(slots=True)
class _Sight:
    """A schema, and what was seen of it."""

    schema: Schema
    keys: list[list[str]] = field(default_factory=list)
    words: dict[str, set[Any]] = field(default_factory=lambda: defaultdict(set))
    nulls: int = 0


class _Seen:
    """Every object schema of the answers, and what was seen of each; inline ones by their place."""

    def __init__(self, document: Schema) -> None:
        self._document = document
        self.by_name: dict[str, _Sight] = {}
        self.unread: set[str] = set()

    def declare(self, schema: Schema, where: str) -> None:
        where, schema = self.resolved(schema, where)
        strange = schema.keys() - READ - SAID - BOUNDS
        self.unread |= {f"{where}: {rule} is a rule that nobody reads here" for rule in strange}
        if "type" not in schema:
            self.unread.add(f"{where}: declares no type")
        if "properties" in schema and where not in self.by_name:
            self.by_name[where] = _Sight(schema)
            for name, subschema in schema["properties"].items():
                self.declare(subschema, f"{where}.{name}")
        if "items" in schema:
            self.declare(schema["items"], f"{where}[]")

    def look(self, schema: Schema, value: Any, where: str) -> None:
        where, schema = self.resolved(schema, where)
        if "items" in schema:
            for item in value:
                self.look(schema["items"], item, f"{where}[]")
        sight = self.by_name.get(where)
        if sight is None:
            return
        if value is None:
            sight.nulls += 1
            return
        sight.keys.append(list(value))
        for name, subschema in schema["properties"].items():
            if name in value:
                self.look(subschema, value[name], f"{where}.{name}")
                if "enum" in self.resolved(subschema, "")[1]:
                    sight.words[name].add(value[name])

    def resolved(self, schema: Schema, where: str) -> tuple[str, Schema]:
        while "$ref" in schema:
            where = schema["$ref"].rpartition("/")[2]
            schema = referred(self._document, schema)
        return where, schema


def answer_complaints(document: Schema, given: Sequence[Given], known: Words = ()) -> list[str]:
    """The answers of every operation against their schemas, key by key and both ways.

    ``known`` are (schema, property) whose words are held against the code's elsewhere.
    """
    seen = _Seen(document)
    declared = dict(json_answers(document))
    for (operation, status), schema in declared.items():
        seen.declare(schema, f"{operation} {status}")
    answered = {(answer.operation, answer.status) for answer in given}
    complaints = [f"{' '.join(map(str, at))}: never answered" for at in declared.keys() - answered]
    for answer in given:
        at = answer.operation, answer.status
        if at in declared:
            seen.look(declared[at], answer.value, f"{answer.operation} {answer.status}")
    for name, sight in seen.by_name.items():
        complaints += [f"{name}{complaint}" for complaint in _key_complaints(sight)]
        words = _word_complaints(seen, sight, name, known)
        complaints += [f"{name}.{complaint}" for complaint in words]
    return sorted({*complaints, *seen.unread})


def _key_complaints(sight: _Sight) -> Iterator[str]:
    declared, required = list(sight.schema["properties"]), set(sight.schema.get("required", ()))
    if not sight.keys:
        yield ": in no answer"
        return
    if bool(sight.nulls) != bool(sight.schema.get("nullable")):
        yield f": {'null' if sight.nulls else 'never null'}, and the contract has it otherwise"
    for name in declared:
        times = sum(name in keys for keys in sight.keys)
        if times == 0:
            yield f".{name}: in no answer"
        elif name in required and times < len(sight.keys):
            yield f".{name}: required, and left out of an answer"
        elif name not in required and times == len(sight.keys):
            yield f".{name}: in every answer, and not required"
    for keys in sight.keys:
        yield from (f".{name}: answered, and not declared" for name in keys if name not in declared)
        if [name for name in declared if name in keys] != [k for k in keys if k in declared]:
            yield ": the orders differ"


def _word_complaints(seen: _Seen, sight: _Sight, name: str, known: Words) -> Iterator[str]:
    for key, subschema in sight.schema["properties"].items():
        words = set(seen.resolved(subschema, "")[1].get("enum", ()))
        if words and (name, key) not in known and sight.keys:
            for word in words ^ sight.words[key]:
                yield f"{key}: {word!r} is in {'no answer' if word in words else 'no enum'}"


def body_complaints(
    document: Schema, reads: Mapping[str, Mapping[str, bool]], not_kept: Collection[str]
) -> list[str]:
    """Members of request bodies against what handlers read, both ways.

    ``reads`` is operation -> place of a member -> whether it is read as if always there;
    ``not_kept`` are the members, as ``Schema.member``, that are asked for and used by nobody.
    """
    complaints, excused = [], set(not_kept)
    for operation, schema in request_bodies(document):
        read = reads.get(operation, {})
        declared = {at: (name, is_required) for at, name, is_required in _members(document, schema)}
        for at in read.keys() - declared:
            complaints.append(f"{operation}: reads {at}, which the body lacks")
        for at, (name, is_required) in declared.items():
            if at not in read:
                excused.discard(name)
                complaints += [f"{operation}: nothing reads {name}"] * (name not in not_kept)
            elif read[at] != is_required:
                how = "as if always there" if read[at] else "as if it could be absent"
                complaints.append(f"{operation}: reads {name} {how}")
    complaints += [f"{member} is no member that nothing reads" for member in excused]
    return sorted(complaints)


def _members(document: Schema, schema: Schema, at: str = "") -> Iterator[tuple[str, str, bool]]:
    """(place in the body, Schema.member, required) of a body's members, and of theirs."""
    owner = schema.get("$ref", "").rpartition("/")[2]
    schema = referred(document, schema)
    for name, subschema in schema.get("properties", {}).items():
        yield f"{at}{name}", f"{owner}.{name}", name in schema.get("required", ())
        yield from _members(document, subschema, f"{at}{name}.")


def json_answers(document: Schema) -> Iterator[tuple[tuple[str, int], Schema]]:
    """((operation, status), schema) of every answer that is JSON and no Problem."""
    for operation in operations(document):
        for status, response in operation["responses"].items():
            content = referred(document, response).get("content", {})
            if JSON in content:
                yield (operation["operationId"], int(status)), content[JSON].get("schema", {})


def request_bodies(document: Schema) -> Iterator[tuple[str, Schema]]:
    """(operation, schema) of every request body that is JSON."""
    for operation in operations(document):
        content = referred(document, operation.get("requestBody", {})).get("content", {})
        if JSON in content:
            yield operation["operationId"], content[JSON].get("schema", {})


def operations(document: Schema) -> Iterator[Schema]:
    for item in document["paths"].values():
        yield from (operation for method, operation in item.items() if method in METHODS)


def referred(document: Schema, node: Schema) -> Schema:
    """The target of a reference."""
    while "$ref" in node:
        found: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node
