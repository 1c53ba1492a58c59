"""Compares the bodies that the file admits with the operations that read them, before the start.

A body that no example fits would be a refusal of every request, and a body that a handler cannot
read would be a 500.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any, get_args, get_type_hints

from composer.errors import ComposerError
from handlers.operation import AnyOperation, Operation
from handlers.refusals import Refused
from server.authoring.sample_values import ID
from server.contract.document import Contract, OperationContract
from server.contract.errors import ContractFault
from server.contract.parameters import possible_types
from server.contract.pointers import Path, canonical_path, deepest_path, part_at
from server.contract.schemas import Schema, follow
from server.http.requests import python_name

Body = Mapping[str, Any]
# In place of a member; those that the schema refuses are never read.
_VALUES: tuple[Any, ...] = (None, True, 0, 0.5, "", "a", [], {})


def body_faults(
    contract: Contract, operations: Mapping[str, AnyOperation]
) -> Iterator[ContractFault]:
    """Each body without an accepted example, and each member that a handler cannot read."""
    document = contract.document
    for name, declared in contract.operations.items():
        operation = operations.get(name)
        if declared.body is None or not isinstance(operation, Operation):
            continue
        path = ("paths", declared.path, declared.method.lower(), "requestBody", "content")
        place = canonical_path(document, path)
        for media, validator in declared.body.media.items():
            at = (*place, media)
            types = possible_types(part_at(document, (*at, "schema")), partial(follow, document))
            if types is not None and "object" not in types:
                continue  # told by unsupported_faults
            examples = _examples(contract, at)
            faults = [validator.fault(example) for example in examples]
            if examples and all(faults):
                rule = next(fault.rule.rpartition("/")[2] for fault in faults if fault)
                sentence = f"{media}: no example of the body is accepted, because of {rule}"
                yield ContractFault(at, sentence, is_key=True)
            elif examples and min(map(_size, examples)) > declared.body.max_bytes:
                sentence = f"{media}: no example is as short as {declared.body.max_bytes} bytes"
                yield ContractFault(at, sentence, is_key=True)
            else:
                schema = canonical_path(document, (*at, "schema"))
                for member, body in _variants(examples, part_at(document, schema)):
                    if validator.is_valid(body) and not _is_read(operation, declared, body):
                        holder = deepest_path(document, (*schema, "properties"))
                        inner = (*holder, member) if member in part_at(document, holder) else holder
                        shown = json.dumps(body[member]) if member in body else "absent"
                        sentence = f"{name}: the handler cannot read {member} where it is {shown}"
                        yield ContractFault(inner, sentence)


def _examples(contract: Contract, media: Path) -> list[Any]:
    content = part_at(contract.document, media)
    named = (follow(contract.document, part) for part in content.get("examples", {}).values())
    examples = [example["value"] for example in named if "value" in example]
    return [*examples, content["example"]] if "example" in content else examples


def _size(body: Any) -> int:
    return len(json.dumps(body, ensure_ascii=False).encode())


def _variants(examples: list[Any], schema: Schema) -> Iterator[tuple[str, Body]]:
    """Each example with one member absent, or of another kind."""
    for example in filter(lambda value: isinstance(value, dict), examples):
        for name in {**example, **schema.get("properties", {})}:
            yield name, {key: value for key, value in example.items() if key != name}
            yield from ((name, {**example, name: value}) for value in _VALUES)


def _is_read(operation: Operation, declared: OperationContract, body: Body) -> bool:
    """Whether the handler's first step makes something of a body, or refuses it."""
    if operation.parse is None:
        return True
    address = operation.way.address
    names = {parameter.name for parameter in declared.parameters if parameter.kind == "path"}
    others = names - ({address.parameter} if address else set())
    parameters = {python_name(name): "a" for name in others}
    try:
        parsed = operation.parse(ID if address else None, **parameters, body=body)
    except (Refused, ComposerError):
        return True
    except Exception:  # of any kind: the service would answer 500
        return False
    return not is_dataclass(parsed) or _has_its_types(parsed)


def _has_its_types(value: Any) -> bool:
    """Whether each field has a value of its type; a type with parameters is not looked at."""
    hints = get_type_hints(type(value))
    for field in fields(value):
        types = get_args(hints[field.name]) or (hints[field.name],)
        is_plain = all(isinstance(plain, type) for plain in types)
        if is_plain and not isinstance(getattr(value, field.name), types):
            return False
    return True
