"""YAML by its 1.2 core schema, with the line and the column of every part.

PyYAML reads YAML 1.1, where ``on`` is true and ``12:30`` is 750. Every other reader of the contract
reads 1.2, where both are texts. Keys are texts here, as they are in JSON. ``<<`` merges mappings.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import yaml
from yaml.resolver import BaseResolver

# The contract is 20 deep. Its checks are functions that call themselves.
MAX_DEPTH = 100
_TOO_DEEP = f"nested more than {MAX_DEPTH} deep, or into itself"
_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
# The tag of a plain scalar, and the first characters that it can have (YAML 1.2.2, 10.3.2).
_CORE_SCHEMA = (
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("merge", r"<<", "<"),
)


class YamlFault(Exception):
    """The text cannot be read; ``line`` and ``column`` count from 0."""

    def __init__(self, line: int, column: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line
        self.column = column

    @classmethod
    def at(cls, node: yaml.Node, sentence: str) -> YamlFault:
        """A fault of one node."""
        return cls(node.start_mark.line, node.start_mark.column, sentence)


class _Loader(yaml.CSafeLoader):
    """Composes nodes only: ``_value`` makes values of them."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}  # type: ignore[misc]


for _name, _pattern, _first in _CORE_SCHEMA:
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(f"(?:{_pattern})\\Z"), list(_first))


def read_yaml(raw: bytes) -> tuple[yaml.MappingNode, dict[str, Any]]:
    """A mapping twice: as nodes, and as values. Raises YamlFault.

    Of equal keys the last one has the value; ``duplicate_keys`` finds them. The nodes of merged
    mappings stand in the mapping that merges them, unless it has the key itself.
    """
    if raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise YamlFault(0, 0, "the file must be UTF-8, and it is UTF-16")
    root = _compose(raw)
    if not isinstance(root, yaml.MappingNode):
        raise YamlFault(0, 0, "not an OpenAPI document")
    _check_depth(root)
    value = _value(root, {})
    assert isinstance(value, dict)
    return root, value


def duplicate_keys(root: yaml.Node) -> Iterator[yaml.Node]:
    """Keys that stand in one mapping a second time."""
    for mapping in mappings(root):
        keys: set[str] = set()
        for key, _ in mapping.value:
            if key.value in keys:
                yield key
            keys.add(key.value)


def mappings(node: yaml.Node) -> Iterator[yaml.MappingNode]:
    """Every mapping of a node, itself first; a mapping with several aliases once."""
    seen: set[int] = set()
    waiting = [node]
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, yaml.MappingNode):
            yield found
        waiting += reversed(_collections(found))


def find(root: yaml.Node, path: Sequence[object]) -> tuple[yaml.Node, int]:
    """The deepest node on a path, and the length of the path that leads to it."""
    node = root
    for depth, part in enumerate(path):
        inner = _child(node, part)
        if inner is None:
            return node, depth
        node = inner
    return node, len(path)


def find_key(root: yaml.Node, path: Sequence[object]) -> yaml.Node:
    """The key at the end of a path, or the deepest node on the path."""
    parent, _ = find(root, path[:-1])
    for key, _ in parent.value if isinstance(parent, yaml.MappingNode) else ():
        if key.value == str(path[-1]):
            return key
    return parent


def _child(node: yaml.Node, part: object) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        values = [value for key, value in node.value if key.value == str(part)]
        return values[-1] if values else None
    if isinstance(node, yaml.SequenceNode) and str(part).isdecimal():
        return next(iter(node.value[int(str(part)) :]), None)
    return None


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _collections(node: yaml.Node) -> list[yaml.Node]:
    """The children without scalars, which are nine of ten."""
    return [child for child in _children(node) if not isinstance(child, yaml.ScalarNode)]


def _compose(raw: bytes) -> yaml.Node | None:
    try:
        return _Loader(raw).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        raise YamlFault(line, column, str(error.problem or error.context)) from error
    except yaml.reader.ReaderError as error:  # its position counts bytes
        before = raw[: error.position].decode(errors="replace")
        sentence = f"unacceptable character #x{error.character:02x}: {error.reason}"
        line = before.count("\n")
        raise YamlFault(line, len(before) - before.rfind("\n") - 1, sentence) from error
    except RecursionError as error:
        raise _too_deep(raw) from error


def _value(node: yaml.Node, values: dict[int, Any]) -> Any:
    """``values`` are those of the nodes seen before: an alias has the value of its anchor."""
    if id(node) in values:
        return values[id(node)]
    value: Any
    if isinstance(node, yaml.MappingNode):
        if node.tag != BaseResolver.DEFAULT_MAPPING_TAG:
            raise _unknown_tag(node)
        node.value = _merged(node)
        value = {key.value: _value(inner, values) for key, inner in node.value}
    elif isinstance(node, yaml.SequenceNode):
        if node.tag != BaseResolver.DEFAULT_SEQUENCE_TAG:
            raise _unknown_tag(node)
        value = [_value(inner, values) for inner in node.value]
    else:
        value = _scalar(node)
    values[id(node)] = value
    return value


def _merged(mapping: yaml.MappingNode) -> list[tuple[yaml.Node, yaml.Node]]:
    """The pairs of a mapping, with those that ``<<`` adds in its place."""
    for key, _ in mapping.value:
        if not isinstance(key, yaml.ScalarNode):
            raise YamlFault.at(key, "a key must be a text")
    keys = {key.value for key, _ in mapping.value if key.tag != _MERGE}
    pairs = []
    for key, value in mapping.value:
        if key.tag != _MERGE:
            pairs.append((key, value))
            continue
        for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if not isinstance(part, yaml.MappingNode):
                raise YamlFault.at(part, "<< needs a mapping, or a list of mappings")
            added = [pair for pair in _merged(part) if pair[0].value not in keys]
            keys |= {pair[0].value for pair in added}  # of several mappings, the first one wins
            pairs += added
    return pairs


def _scalar(node: yaml.Node) -> Any:
    kind = node.tag.removeprefix(_TAG)
    text = node.value
    try:
        if kind in ("str", "merge"):
            return text
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind == "int":
            return _integer(text)
        if kind == "float":
            return float(text)  # JSON has no .inf and no .nan, which float does not read either
    except ValueError as error:
        raise YamlFault.at(node, f"{text[:40]} is no {kind}") from error
    raise _unknown_tag(node)


def _integer(text: str) -> int:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    return int(text[2:] if base != 10 else text, base)


def _unknown_tag(node: yaml.Node) -> YamlFault:
    return YamlFault.at(node, f"the tag {node.tag.replace(_TAG, '!!')} is unknown here")


def _check_depth(root: yaml.Node) -> None:
    deepest: dict[int, int] = {}
    waiting = [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > deepest.get(id(node), -1):  # an alias may stand at several depths
            deepest[id(node)] = depth
            if depth == MAX_DEPTH and (children := _children(node)):
                raise YamlFault.at(children[-1], _TOO_DEEP)
            waiting += [(child, depth + 1) for child in _collections(node)]


def _too_deep(raw: bytes) -> YamlFault:
    """The place where a text is too deep to become nodes."""
    depth = 0
    for event in yaml.parse(raw, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH and (mark := event.start_mark) is not None:
            return YamlFault(mark.line, mark.column, _TOO_DEEP)
    return YamlFault(0, 0, _TOO_DEEP)
