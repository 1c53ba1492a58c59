"""Finds every fault of a contract: one line each for its author, with file, line and column.

It runs before the service starts or reloads, so that a faulty contract does not stop a running
service.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

import handlers as handlers_room
from server.authoring.operations import (
    Operations,
    answer_complaints,
    coverage_complaints,
    problem_complaints,
    signature_complaints,
)
from server.authoring.shape import ShapeFault, shape_fault
from server.authoring.unsupported import unsupported_faults
from server.authoring.yaml_nodes import UnreadableDocument, find, find_key, mappings, read_nodes
from server.contract.document import CONTRACT_FILE, METHODS, Contract, OperationContract
from server.contract.errors import ContractError

PLACE = f"api/{CONTRACT_FILE}"
INDEX = "handlers/__init__.py"
LONGEST_COMPLAINT = 200


def contract_complaints(raw: bytes, operations: Operations) -> list[str]:
    """Every reason why ``raw`` cannot be served by ``operations``, in the order of the file."""
    try:
        root, document = read_nodes(raw)
    except UnreadableDocument as error:
        return [_complaint(PLACE, error.line, error.column, str(error))]
    found = [*_duplicate_keys(root), *_dangling_references(root), *_unknown_schemes(root)]
    if not found:
        found = [*_specification(document, root)]
    if not found:
        found = [*_operations(root)]
    if not found:
        found = [_located(root, fault) for fault in unsupported_faults(document)]
    if not found:
        found = [*_coverage(raw, root, operations)]
    return [_complaint(*fault) for fault in sorted(found)]


Fault = tuple[str, int, int, str]


def _complaint(file: str, line: int, column: int, sentence: str) -> str:
    text = " ".join(sentence.split())[:LONGEST_COMPLAINT]
    return f"{file}:{line + 1}:{column + 1}: {text}"


def _at(node: yaml.Node, sentence: str) -> Fault:
    return PLACE, node.start_mark.line, node.start_mark.column, sentence


def _duplicate_keys(root: yaml.Node) -> Iterator[Fault]:
    """YAML ignores all but the last of repeated keys without an error."""
    for mapping in mappings(root):
        seen: set[str] = set()
        for key, _ in mapping.value:
            if key.value in seen:
                yield _at(key, f"the key {key.value} is repeated")
            seen.add(key.value)


def _dangling_references(root: yaml.Node) -> Iterator[Fault]:
    """One fault for each target, because an author who renames a schema must see it only once."""
    broken: dict[str, list[yaml.Node]] = {}
    for mapping in mappings(root):
        for key, value in mapping.value:
            if key.value != "$ref" or not isinstance(value, yaml.ScalarNode):
                continue
            parts = value.value.removeprefix("#/").split("/")
            if not value.value.startswith("#/") or find(root, parts)[1] < len(parts):
                broken.setdefault(value.value, []).append(value)
    for target, (first, *others) in broken.items():
        more = f"; {len(others)} more do" if others else ""
        yield _at(first, f"$ref {target} points to nothing in this file{more}")


def _unknown_schemes(root: yaml.Node) -> Iterator[Fault]:
    """Connexion would raise a bare KeyError for these."""
    schemes, depth = find(root, ["components", "securitySchemes"])
    known = {key.value for key, _ in schemes.value} if depth == 2 else set()
    for parent in (root, *(operation for _, _, operation in _declared(root))):
        security, depth = find(parent, ["security"])
        is_list = depth and isinstance(security, yaml.SequenceNode)
        for requirement in security.value if is_list else ():
            for name, _ in requirement.value if isinstance(requirement, yaml.MappingNode) else ():
                if name.value not in known:
                    yield _at(name, f"{name.value} is not in components/securitySchemes")


def _specification(document: dict[str, Any], root: yaml.Node) -> Iterator[Fault]:
    fault = shape_fault(document)
    if fault is not None:
        yield _located(root, fault)


def _located(root: yaml.Node, fault: ShapeFault) -> Fault:
    return _at((find_key if fault.is_key else find)(root, fault.path)[0], fault.sentence)


def _declared(root: yaml.Node) -> Iterator[tuple[yaml.Node, yaml.Node, yaml.Node]]:
    """Every operation with the nodes of its path and method, in a file that may be invalid."""
    paths, depth = find(root, ["paths"])
    for path, item in paths.value if depth and isinstance(paths, yaml.MappingNode) else ():
        for method, operation in item.value if isinstance(item, yaml.MappingNode) else ():
            if method.value in METHODS:
                yield path, method, operation


def _operations(root: yaml.Node) -> Iterator[Fault]:
    seen: set[str] = set()
    for path, method, operation in _declared(root):
        operation_id, depth = find(operation, ["operationId"])
        if depth == 0:
            yield _at(method, f"{method.value} {path.value} has no operationId")
        elif operation_id.value in seen:
            yield _at(operation_id, f"the operationId {operation_id.value} is repeated")
        else:
            seen.add(operation_id.value)


def _coverage(raw: bytes, root: yaml.Node, operations: Operations) -> Iterator[Fault]:
    try:
        contract = Contract(raw)
    except ContractError as error:  # an invalid schema, or a format that the service cannot check
        yield _at(find(root, error.path)[0], str(error))
        return
    uncovered = coverage_complaints(contract, operations)
    for sentence in uncovered:
        words = re.split(r"\W+", sentence)
        name = next((name for name in contract.operations if name in words), None)
        if name is not None:
            yield _at(find(root, _operation_id_of(contract.operations[name]))[0], sentence)
        else:
            yield _at_handler(words, sentence)
    if uncovered:
        return
    complaints = [*signature_complaints(contract, operations)]
    if not complaints:
        complaints = [
            *problem_complaints(contract, operations),
            *answer_complaints(contract, operations),
        ]
    for path, sentence in complaints:
        yield _at(find(root, path)[0], sentence)


def _at_handler(names: Sequence[str], sentence: str) -> Fault:
    """The line in the index of the service: the contract does not declare the operation."""
    loader = handlers_room.__spec__.loader
    index = Path(loader.get_code(handlers_room.__name__).co_filename)  # a frozen tree has no source
    for number, line in enumerate(index.read_text("utf-8").splitlines()):
        if any(line.lstrip().startswith(f'"{name}":') for name in names if name):
            return INDEX, number, len(line) - len(line.lstrip()), sentence
    return INDEX, 0, 0, sentence


def _operation_id_of(operation: OperationContract) -> list[str]:
    return ["paths", operation.path, operation.method.lower(), "operationId"]
