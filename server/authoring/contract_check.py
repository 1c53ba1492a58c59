"""Finds every fault of a contract: one line each for its author, with file, line and column.

It runs before the service starts or reloads, so that a faulty contract does not stop a running
service.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

import handlers as handlers_room
from server.authoring.answers import sample_faults
from server.authoring.bodies import body_faults
from server.authoring.links import link_faults
from server.authoring.operations import (
    Operations,
    answer_faults,
    coverage_faults,
    signature_faults,
    takes_its_parameters,
    unserved_faults,
)
from server.authoring.problems import problem_faults
from server.authoring.shape import shape_faults
from server.authoring.unsupported import (
    declared_operations,
    reference_faults,
    unsupported_faults,
)
from server.contract.document import CONTRACT_FILE, Contract
from server.contract.errors import ContractError, ContractFault
from server.contract.pointers import resolve_pointer
from server.contract.yaml_file import YamlFault, duplicate_keys, find, find_key, mappings, read_yaml

PLACE = f"api/{CONTRACT_FILE}"
INDEX = "handlers/__init__.py"
LONGEST_SENTENCE = 200

# File, line, column (from 0) and sentence.
Complaint = tuple[str, int, int, str]


def contract_complaints(raw: bytes, operations: Operations) -> list[str]:
    """Every reason why ``operations`` cannot serve the file, a line each."""
    return check_contract(raw, operations)[1]


def check_contract(raw: bytes, operations: Operations) -> tuple[Contract | None, list[str]]:
    """The contract, and every reason why ``operations`` cannot serve it, in the order of the file.

    The contract is None where the file is not a contract. A fault of the YAML or of a reference
    hides later faults; all other faults are reported together.
    """
    contract: Contract | None = None
    try:
        root, document = read_yaml(raw)
    except YamlFault as fault:
        return None, [_line((PLACE, fault.line, fault.column, str(fault)))]
    complaints = list(_duplicate_keys(root))
    if not complaints:
        complaints = [_located(root, fault) for fault in shape_faults(document)]
    if not complaints:
        complaints = list(_dangling_references(root, document))
    if not complaints:
        complaints = [_located(root, fault) for fault in reference_faults(document)]
    if not complaints:
        contract, faults = _faults(raw, document, operations)
        complaints = [_located(root, fault) for fault in faults]
        complaints += _handlers_without_operation(document, operations)
    return contract, [_line(complaint) for complaint in sorted(set(complaints))]


def _faults(
    raw: bytes, document: dict[str, Any], operations: Operations
) -> tuple[Contract | None, list[ContractFault]]:
    paths = {
        operation["operationId"]: (*path, "operationId")
        for path, operation in declared_operations(document)
        if "operationId" in operation
    }
    faults = [*unsupported_faults(document), *link_faults(document)]
    faults += coverage_faults(paths, operations)
    try:
        contract = Contract(raw, document)
    except ContractError as error:  # an invalid schema, or a format that the service cannot check
        return None, [*faults, *error.faults]
    faults += signature_faults(contract, operations)
    read = {
        name: operation
        for name, operation in operations.items()
        if name not in contract.operations
        or takes_its_parameters(contract.operations[name], operation)
    }
    problems = list(problem_faults(contract, read))
    told = [fault.path for fault in problems]
    faults += problems
    faults += answer_faults(contract, operations)
    faults += (
        fault
        for fault in sample_faults(contract, operations)
        if not any(fault.path[: len(path)] == path for path in told)
    )
    faults += body_faults(contract, operations)
    faults += unserved_faults(contract)
    return contract, faults


def _line(complaint: Complaint) -> str:
    file, line, column, sentence = complaint
    text = " ".join(sentence.split())[:LONGEST_SENTENCE]
    return f"{file}:{line + 1}:{column + 1}: {text}"


def _at(node: yaml.Node, sentence: str) -> Complaint:
    return PLACE, node.start_mark.line, node.start_mark.column, sentence


def _located(root: yaml.Node, fault: ContractFault) -> Complaint:
    """The complaint at the part itself, or at the innermost part that the file has."""
    node = find_key(root, fault.path) if fault.is_key else find(root, fault.path)[0]
    return _at(node, fault.sentence)


def _duplicate_keys(root: yaml.Node) -> Iterator[Complaint]:
    """YAML ignores all but the last of repeated keys without an error."""
    for key in duplicate_keys(root):
        yield _at(key, f"the key {key.value} is repeated")


def _dangling_references(root: yaml.Node, document: dict[str, Any]) -> Iterator[Complaint]:
    """One fault for each target, because an author who renames a schema must see it only once."""
    uses: dict[str, list[yaml.Node]] = {}
    for mapping in mappings(root):
        for key, value in mapping.value:
            if key.value == "$ref" and isinstance(value, yaml.ScalarNode):
                uses.setdefault(value.value, []).append(value)
    for target, (first, *others) in uses.items():
        try:
            resolve_pointer(document, target)
        except (LookupError, ValueError):
            more = f"; {len(others)} more do" if others else ""
            yield _at(first, f"$ref {target} points to nothing in this file{more}")


def _handlers_without_operation(
    document: dict[str, Any], operations: Operations
) -> Iterator[Complaint]:
    """Told in the index of the service, which names them."""
    declared = {operation.get("operationId") for _, operation in declared_operations(document)}
    unknown = [name for name in operations if name not in declared]
    if not unknown:
        return
    loader: Any = handlers_room.__loader__
    index = Path(loader.get_code(handlers_room.__name__).co_filename)  # a frozen tree has no source
    lines = index.read_text("utf-8").splitlines()
    for name in unknown:
        sentence = f"handler {name} has no operation in the contract"
        places = [
            (INDEX, number, len(line) - len(line.lstrip()), sentence)
            for number, line in enumerate(lines)
            if line.lstrip().startswith(f'"{name}":')
        ]
        yield places[0] if places else (INDEX, 0, 0, sentence)
