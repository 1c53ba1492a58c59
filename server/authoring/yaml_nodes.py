"""The contract as YAML nodes, which have line and column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

# Our contract is 20 deep. Recursive functions walk the document later.
MAX_DEPTH = 100
_TOO_DEEP = f"nested more than {MAX_DEPTH} deep, or into itself"


class UnreadableDocument(Exception):
    """The text is not a document; ``line`` and ``column`` count from 0."""

    def __init__(self, line: int, column: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line
        self.column = column


def read_nodes(raw: bytes) -> tuple[yaml.MappingNode, Any]:
    """The document as nodes and as values. Raises UnreadableDocument."""
    try:
        loader = yaml.CSafeLoader(raw)
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise UnreadableDocument(0, 0, "not an OpenAPI document")
        _check_depth(root)
        return root, loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        raise UnreadableDocument(line, column, str(error.problem or error.context)) from error
    except yaml.reader.ReaderError as error:  # its position is in bytes
        before = raw[: error.position].decode(errors="replace")
        sentence = f"unacceptable character #x{error.character:02x}: {error.reason}"
        line = before.count("\n")
        raise UnreadableDocument(line, len(before) - before.rfind("\n") - 1, sentence) from error
    except RecursionError as error:
        raise _too_deep(raw) from error
    except ValueError as error:  # a date like 2026-13-45
        node = next(scalar for scalar in _scalars(root) if _is_invalid(scalar))
        kind = node.tag.rpartition(":")[2]
        sentence = f"{node.value} is not a valid {kind}; quote it to make it a text: {error}"
        raise UnreadableDocument(node.start_mark.line, node.start_mark.column, sentence) from error


def mappings(node: yaml.Node) -> Iterator[yaml.MappingNode]:
    """Every mapping at or below ``node``, from the top."""
    if isinstance(node, yaml.MappingNode):
        yield node
    for child in _children(node):
        yield from mappings(child)


def find(root: yaml.Node, path: Sequence[object]) -> tuple[yaml.Node, int]:
    """The deepest existing node on a path, and its depth."""
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


def find_key(root: yaml.Node, path: Sequence[object]) -> tuple[yaml.Node, int]:
    """As ``find``, but returns the node of the last key instead of its value."""
    parent, depth = find(root, path[:-1])
    for key, _ in parent.value if isinstance(parent, yaml.MappingNode) else ():
        if key.value == str(path[-1]):
            return key, depth + 1
    return parent, depth


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    for child in _children(node):
        yield from _scalars(child)


def _is_invalid(node: yaml.ScalarNode) -> bool:
    try:
        yaml.constructor.SafeConstructor().construct_object(node)
    except ValueError:
        return True
    return False


def _check_depth(root: yaml.Node) -> None:
    left = [(root, 0)]
    while left:
        node, depth = left.pop()
        if depth > MAX_DEPTH:
            raise UnreadableDocument(node.start_mark.line, node.start_mark.column, _TOO_DEEP)
        left += [(child, depth + 1) for child in _children(node)]


def _too_deep(raw: bytes) -> UnreadableDocument:
    """The place where a text is too deep for the parser."""
    depth = 0
    for event in yaml.parse(raw, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            return UnreadableDocument(event.start_mark.line, event.start_mark.column, _TOO_DEEP)
    return UnreadableDocument(0, 0, _TOO_DEEP)
