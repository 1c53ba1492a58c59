"""The contract as YAML nodes, each of which knows the line and the column it stands at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

# Ours is 20 deep. What is checked and served later is walked by functions that call themselves.
DEEPEST = 100
_TOO_DEEP = f"nested more than {DEEPEST} deep, or into itself"


class Misread(Exception):
    """The text is no document; ``line`` and ``column`` count from 0."""

    def __init__(self, line: int, column: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line
        self.column = column


def read_nodes(raw: bytes) -> tuple[yaml.MappingNode, Any]:
    """The document twice: as nodes, and as the values they stand for. Raises Misread."""
    try:
        loader = yaml.CSafeLoader(raw)
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise Misread(0, 0, "not an OpenAPI document")
        _check_depth(root)
        return root, loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        raise Misread(line, column, str(error.problem or error.context)) from error
    except yaml.reader.ReaderError as error:  # which counts bytes
        before = raw[: error.position].decode(errors="replace")
        sentence = f"unacceptable character #x{error.character:02x}: {error.reason}"
        line = before.count("\n")
        raise Misread(line, len(before) - before.rfind("\n") - 1, sentence) from error
    except RecursionError as error:
        raise _too_deep(raw) from error
    except ValueError as error:  # a date like 2026-13-45
        node = next(one for one in _scalars(root) if _fault_of(one))
        kind = node.tag.rpartition(":")[2]
        sentence = f"{node.value} is no {kind}, and only quotes make it a text: {error}"
        raise Misread(node.start_mark.line, node.start_mark.column, sentence) from error


def mappings(node: yaml.Node) -> Iterator[yaml.MappingNode]:
    """Every mapping from here on, this one first."""
    if isinstance(node, yaml.MappingNode):
        yield node
    for one in _children(node):
        yield from mappings(one)


def find(root: yaml.Node, path: Sequence[object]) -> tuple[yaml.Node, int]:
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


def find_key(root: yaml.Node, path: Sequence[object]) -> tuple[yaml.Node, int]:
    """The same, but of the last part of the path the key."""
    holder, depth = find(root, path[:-1])
    for key, _ in holder.value if isinstance(holder, yaml.MappingNode) else ():
        if key.value == str(path[-1]):
            return key, depth + 1
    return holder, depth


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    for one in _children(node):
        yield from _scalars(one)


def _fault_of(node: yaml.ScalarNode) -> bool:
    try:
        yaml.constructor.SafeConstructor().construct_object(node)
    except ValueError:
        return True
    return False


def _check_depth(root: yaml.Node) -> None:
    left = [(root, 0)]
    while left:
        node, depth = left.pop()
        if depth > DEEPEST:
            raise Misread(node.start_mark.line, node.start_mark.column, _TOO_DEEP)
        left += [(one, depth + 1) for one in _children(node)]


def _too_deep(raw: bytes) -> Misread:
    """Where the text is too deep to become nodes."""
    depth = 0
    for event in yaml.parse(raw, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            return Misread(event.start_mark.line, event.start_mark.column, _TOO_DEEP)
    return Misread(0, 0, _TOO_DEEP)
