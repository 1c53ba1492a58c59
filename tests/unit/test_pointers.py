"""JSON pointers are read and written in one place."""

from __future__ import annotations

import pytest

from server.contract.pointers import format_pointer, parse_pointer, resolve_pointer

DOCUMENT = {"a": {"b/c": {"d~e": [1, {"{f}": 2}]}}}


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ("#", DOCUMENT),
        ("#/a/b~1c/d~0e/0", 1),
        ("#/a/b~1c/d~0e/1/{f}", 2),
        ("#/a/b~1c/d~0e/1/%7Bf%7D", 2),
    ],
)
def test_a_reference_leads_to_its_part(reference: str, value: object) -> None:
    assert resolve_pointer(DOCUMENT, reference) == value


LIST = "#/a/b~1c/d~0e"


@pytest.mark.parametrize(
    "reference", ["#/x", f"{LIST}/7", f"{LIST}/x", f"{LIST}/-1", f"{LIST}/0/0"]
)
def test_a_reference_without_a_part_is_an_error(reference: str) -> None:
    with pytest.raises(LookupError):
        resolve_pointer(DOCUMENT, reference)


@pytest.mark.parametrize("reference", ["", "a", "/a", "other.yaml#/a", "https://a.example/#/a"])
def test_a_reference_out_of_the_file_is_an_error(reference: str) -> None:
    with pytest.raises(ValueError, match="leads out of this file"):
        parse_pointer(reference)


def test_a_pointer_is_written_as_it_is_read() -> None:
    path = ("a", "b/c", "d~e", 1, "~1")
    assert parse_pointer(f"#{format_pointer(path)}") == tuple(map(str, path))
