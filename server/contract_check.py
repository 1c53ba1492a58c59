"""What is wrong with a contract, for its author: one line each, with file, line and column.

Asked before the service starts and before it reloads, so that a slip of the pen never takes down
what is running.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from connexion.exceptions import InvalidSpecification
from connexion.spec import Specification
from jsonschema import ValidationError

import handlers as handlers_room
from server.contract import CONTRACT_FILE, METHODS, Contract, OperationContract
from server.contract_errors import ContractError
from server.operations import coverage_complaints
from server.problem_check import problem_complaints
from server.request_validation import missing_body_refusals
from server.signatures import signature_complaints

PLACE = f"api/{CONTRACT_FILE}"
INDEX = "handlers/__init__.py"
LONGEST_COMPLAINT = 200


def contract_complaints(raw: bytes, handlers: Mapping[str, Callable[..., Any]]) -> list[str]:
    """Every reason why ``raw`` cannot be served by ``handlers``, in the order of the file."""
    try:
        root = yaml.compose(raw, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        return [_complaint(PLACE, line, column, str(error.problem or error.context))]
    except yaml.YAMLError as error:
        return [_complaint(PLACE, 0, 0, str(error))]
    if not isinstance(root, yaml.MappingNode):
        return [_complaint(PLACE, 0, 0, "not an OpenAPI document")]
    found = [*_duplicate_keys(root), *_dangling_references(root)]
    if not found:
        found = [*_specification(raw, root)]
    if not found:
        found = [*_operations(root)]
    if not found:
        found = [*_coverage(raw, root, handlers)]
    return [_complaint(*one) for one in sorted(found)]


Fault = tuple[str, int, int, str]


def _complaint(file: str, line: int, column: int, sentence: str) -> str:
    text = " ".join(sentence.split())[:LONGEST_COMPLAINT]
    return f"{file}:{line + 1}:{column + 1}: {text}"


def _at(node: yaml.Node, sentence: str) -> Fault:
    return PLACE, node.start_mark.line, node.start_mark.column, sentence


def _mappings(node: yaml.Node) -> Iterator[yaml.MappingNode]:
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, value in node.value:
            yield from _mappings(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _mappings(value)


def _duplicate_keys(root: yaml.Node) -> Iterator[Fault]:
    """YAML lets the last one win, which is never what was meant."""
    for mapping in _mappings(root):
        seen: set[str] = set()
        for key, _ in mapping.value:
            if key.value in seen:
                yield _at(key, f"the key {key.value} stands here a second time")
            seen.add(key.value)


def _dangling_references(root: yaml.Node) -> Iterator[Fault]:
    for mapping in _mappings(root):
        for key, value in mapping.value:
            if key.value != "$ref" or not isinstance(value, yaml.ScalarNode):
                continue
            parts = value.value.removeprefix("#/").split("/")
            if not value.value.startswith("#/") or _find(root, parts)[1] < len(parts):
                yield _at(value, f"$ref {value.value} points to nothing in this file")


def _find(root: yaml.Node, path: Sequence[object]) -> tuple[yaml.Node, int]:
    """The deepest node on a path, and how much of the path leads there."""
    node, depth = root, 0
    for depth, part in enumerate(path):
        if isinstance(node, yaml.MappingNode):
            found = [value for key, value in node.value if key.value == str(part)]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            found = node.value[part : part + 1]
        else:
            found = []
        if not found:
            return node, depth
        node = found[0]
    return node, depth + 1 if path else 0


def _specification(raw: bytes, root: yaml.Node) -> Iterator[Fault]:
    try:
        Specification.from_dict(yaml.load(raw, Loader=yaml.CSafeLoader))
    except InvalidSpecification as error:
        nearest = _nearest(error)
        node, _ = _find(root, list(nearest.absolute_path))
        yield _at(node, str(nearest.message))
    except Exception as error:  # whatever the library stumbles over is the author's to know
        yield _at(root, f"{type(error).__name__}: {error}")


def _nearest(error: ValidationError) -> ValidationError:
    """The deepest reason behind an error: of alternatives, the one that came furthest."""
    while error.context:
        error = max(error.context, key=lambda one: len(one.absolute_path))
    return error


def _operations(root: yaml.Node) -> Iterator[Fault]:
    seen: set[str] = set()
    paths, _ = _find(root, ["paths"])
    for path, item in paths.value:
        for method, operation in item.value:
            if method.value not in METHODS:
                continue
            named, depth = _find(operation, ["operationId"])
            if depth == 0:
                yield _at(method, f"{method.value} {path.value} has no operationId")
            elif named.value in seen:
                yield _at(named, f"the operationId {named.value} stands here a second time")
            else:
                seen.add(named.value)


def _coverage(
    raw: bytes, root: yaml.Node, handlers: Mapping[str, Callable[..., Any]]
) -> Iterator[Fault]:
    try:
        contract = Contract(raw)
    except ContractError as error:  # a schema that does not compile, a format without a check
        yield _at(_find(root, error.path)[0], str(error))
        return
    sentences = coverage_complaints(contract, handlers)
    if not sentences:
        sentences = signature_complaints(contract.operations, handlers)
    if not sentences:
        missing = missing_body_refusals(contract)
        sentences = [f"{name}: its body has no line in BODY_REFUSALS" for name in missing]
    if not sentences:
        for path, sentence in problem_complaints(contract, handlers):
            yield _at(_find(root, path)[0], sentence)
    for sentence in sentences:
        words = re.split(r"\W+", sentence)
        operation = next((one for name, one in contract.operations.items() if name in words), None)
        if operation is not None:
            yield _at(_find(root, _whereabouts(operation))[0], sentence)
        else:
            yield _at_handler(words, sentence)


def _at_handler(names: Sequence[str], sentence: str) -> Fault:
    """A handler nobody asks for stands in the index of the service, not in the contract."""
    loader = handlers_room.__spec__.loader
    index = Path(loader.get_code(handlers_room.__name__).co_filename)  # a frozen tree has no source
    for number, line in enumerate(index.read_text("utf-8").splitlines()):
        if any(line.lstrip().startswith(f'"{name}":') for name in names if name):
            return INDEX, number, len(line) - len(line.lstrip()), sentence
    return INDEX, 0, 0, sentence


def _whereabouts(operation: OperationContract) -> list[str]:
    return ["paths", operation.path, operation.method.lower(), "operationId"]
