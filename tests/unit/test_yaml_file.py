"""YAML is read by its 1.2 core schema, keys are texts, and each fault has a line and a column."""

from __future__ import annotations

from typing import Any

import pytest

from server.contract.yaml_file import YamlFault, duplicate_keys, find, find_key, read_yaml


def value(text: str) -> Any:
    return read_yaml(f"a: {text}\n".encode())[1]["a"]


@pytest.mark.parametrize(
    "text",
    [
        "on",
        "off",
        "yes",
        "No",
        "y",
        "12:30",
        "1_000",
        "2026-01-01",
        "0b1",
        "+.inf0",
        "1e",
        "=",
        "<",
    ],
)
def test_a_word_that_only_yaml_1_1_reads_otherwise_is_a_text(text: str) -> None:
    assert value(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True),
        ("FALSE", False),
        ("", None),
        ("~", None),
        ("Null", None),
        ("010", 10),
        ("-7", -7),
        ("0o10", 8),
        ("0x1F", 31),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("[1, [on]]", [1, ["on"]]),
        ("{}", {}),
    ],
)
def test_a_value_has_the_type_of_the_core_schema(text: str, expected: object) -> None:
    assert value(text) == expected
    assert type(value(text)) is type(expected)


@pytest.mark.parametrize("key", ["1", "200", "null", "true", "yes", "1.0", "''"])
def test_every_key_is_a_text(key: str) -> None:
    assert list(read_yaml(f"{key}: x\n".encode())[1]) == [key.strip("'")]


MERGED = b"""
a: &a {x: 1, y: 1}
b: &b {y: 2, z: 2}
one: {w: 0, <<: *a}
override: {<<: *a, y: 9}
several: {<<: [*b, *a], w: 0}
again: {<<: {<<: *a, y: 3}}
"""


def test_merged_keys_stand_in_the_place_of_the_merge_and_own_keys_win() -> None:
    _, found = read_yaml(MERGED)
    assert [list(found[name].items()) for name in ("one", "override", "several", "again")] == [
        [("w", 0), ("x", 1), ("y", 1)],
        [("x", 1), ("y", 9)],
        [("y", 2), ("z", 2), ("x", 1), ("w", 0)],
        [("x", 1), ("y", 3)],
    ]


def test_a_merged_key_is_found_where_it_is_written_and_is_no_duplicate() -> None:
    root, _ = read_yaml(MERGED)
    lines = {
        path: find(root, path)[0].start_mark.line + 1
        for path in (("override", "x"), ("override", "y"), ("again", "y"))
    }
    assert lines == {("override", "x"): 2, ("override", "y"): 5, ("again", "y"): 7}
    assert list(duplicate_keys(root)) == []


def test_a_key_that_stands_twice_is_found_once_for_each_repetition() -> None:
    root, found = read_yaml(b"a: 1\nb: {c: 1, c: 2}\na: 3\na: 4\n")
    places = [(key.value, key.start_mark.line) for key in duplicate_keys(root)]
    assert places == [("a", 2), ("a", 3), ("c", 1)]
    assert found == {"a": 4, "b": {"c": 2}}


def test_an_alias_has_the_very_value_of_its_anchor() -> None:
    _, found = read_yaml(b"a: &a {x: 1}\nb: *a\n")
    assert found["b"] is found["a"]


def test_aliases_of_aliases_take_no_more_time_than_their_text() -> None:
    lines = ["l0: &l0 [x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 60)]
    _, found = read_yaml("\n".join(lines).encode())
    assert len(found["l59"]) == 9


@pytest.mark.parametrize(
    ("raw", "line", "column", "sentence"),
    [
        (b"a: 1\nb: ]\n", 1, 3, "did not find expected node content"),
        (b"[]", 0, 0, "not an OpenAPI document"),
        (b"", 0, 0, "not an OpenAPI document"),
        (b"a: 1\nb: !no 1\n", 1, 3, "the tag !no is unknown here"),
        (b"a: !!python/object:x {}\n", 0, 3, "the tag !!python/object:x is unknown here"),
        (b"a: !!set {x}\n", 0, 3, "the tag !!set is unknown here"),
        (b"a: !!int x\n", 0, 3, "x is no int"),
        (b"a: " + b"9" * 5000, 0, 3, "9999999999999999999999999999999999999999 is no int"),
        (b"a:\n  ? {b: 1}\n  : 2\n", 1, 4, "a key must be a text"),
        (b"a: {<<: 5}\n", 0, 8, "<< needs a mapping, or a list of mappings"),
        (b"a: &a [*a]\n", 0, 3, "nested more than 100 deep, or into itself"),
        (b"a: &a {b: 1, <<: *a}\n", 0, 3, "nested more than 100 deep, or into itself"),
        (b"a: " + b"[" * 3000 + b"]" * 3000, 0, 103, "nested more than 100 deep, or into itself"),
        ("a: \N{LATIN SMALL LETTER A WITH DIAERESIS}\a\n".encode(), 0, 4, "unacceptable"),
        (b"a: x\n\xff\n", 1, 0, "unacceptable character #xff"),
    ],
)
def test_a_text_that_cannot_be_read_is_told_at_its_place(
    raw: bytes, line: int, column: int, sentence: str
) -> None:
    with pytest.raises(YamlFault) as raised:
        read_yaml(raw)
    assert (raised.value.line, raised.value.column) == (line, column)
    assert str(raised.value).startswith(sentence)


def test_a_path_leads_to_its_deepest_node() -> None:
    root, _ = read_yaml(b"a:\n  - x\n  - {b: y}\n")
    node, depth = find(root, ("a", 1, "b", "c"))
    assert (node.value, depth) == ("y", 3)
    assert find_key(root, ("a", 1, "b")).value == "b"
    assert find_key(root, ("a", 7)).start_mark.line == 1
