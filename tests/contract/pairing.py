"""Drift gates on the pairs themselves: which schema has a value, and which value a schema."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Collection, Iterator, Mapping
from types import ModuleType
from typing import Any

from handlers.wire import SnapshotBody
from tests.contract.answer_drift import json_answers, referred
from tests.contract.drift_values import Composed, Values


def unpaired_complaints(
    document: Mapping[str, Any], values: Values, made: Collection[str]
) -> list[str]:
    """Object schemas of the answers that neither have a value nor are in the list of those that a
    handler puts together; and names of either that are no such schema."""
    reached = set(object_schemas(document))
    complaints = [
        f"{name} is in an answer: add its class to VALUES" for name in reached - {*values, *made}
    ]
    complaints += [f"{name} has a value, and is in no answer" for name in values.keys() - reached]
    complaints += [f"{name} is put together, and is in no answer" for name in {*made} - reached]
    complaints += [f"{name} has a value, and is put together" for name in {*made} & {*values}]
    return sorted(complaints)


def unheld_complaints(serialised: Collection[type], values: Values) -> list[str]:
    """Values that handlers make JSON of, and that no schema is held against."""
    paired = {value for found in values.values() for value in _values(found)}
    return sorted(
        f"{type_.__name__} is sent: pair it in VALUES" for type_ in {*serialised} - paired
    )


def object_schemas(document: Mapping[str, Any]) -> Iterator[str]:
    """By name, those that are reached from an answer that is no Problem; inline ones by place."""
    seen: set[str] = set()

    def walk(schema: Mapping[str, Any], where: str) -> Iterator[str]:
        while "$ref" in schema:
            where, schema = schema["$ref"].rpartition("/")[2], referred(document, schema)
        if where in seen:
            return
        seen.add(where)
        if "properties" in schema:
            yield where
        for name, subschema in schema.get("properties", {}).items():
            yield from walk(subschema, f"{where}.{name}")
        for rule in ("items", "additionalProperties", "not"):
            if isinstance(schema.get(rule), dict):
                yield from walk(schema[rule], f"{where}[]")
        for rule in ("allOf", "anyOf", "oneOf"):
            for number, subschema in enumerate(schema.get(rule, ())):
                yield from walk(subschema, f"{where}/{rule}/{number}")

    for (operation, status), schema in json_answers(document):
        yield from walk(schema, f"{operation} {status}")


def serialised(package: ModuleType, room: str) -> set[type]:
    """Dataclasses of ``room`` that a function of ``package`` makes a JSON object or a body of, as
    its annotations have it."""
    return {
        part
        for function in _functions(package)
        for hints in (typing.get_type_hints(function),)
        if _makes_json(hints.pop("return", None))
        for hint in hints.values()
        for part in _parts(hint)
        if dataclasses.is_dataclass(part) and part.__module__.partition(".")[0] == room
    }


def _functions(package: ModuleType) -> Iterator[Any]:
    for found in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{found.name}")
        for member in vars(module).values():
            if getattr(member, "__module__", "") != module.__name__:
                continue
            members = vars(member).values() if inspect.isclass(member) else (member,)
            # what a dataclass writes for itself makes no JSON
            yield from (f for f in members if inspect.isfunction(f) and f.__name__ != "__init__")


def _parts(hint: Any) -> Iterator[Any]:
    yield hint
    for part in typing.get_args(hint):
        yield from _parts(part)


def _makes_json(hint: Any) -> bool:
    """A text is JSON too: what there are thousands of is written without an encoder for each."""
    return hint is str or any(
        part is SnapshotBody or typing.get_origin(part) is dict for part in _parts(hint)
    )


def _values(found: type | Composed) -> tuple[type, ...]:
    return found.values if isinstance(found, Composed) else (found,)
