"""Every operation and status has its example, and one that is missing or wrong is named."""

from __future__ import annotations

from typing import Any

import pytest

from server.contract.document import Contract
from tests.contract.documented import documented, example_complaints

CONTRACT = Contract.packaged()
TABLE = documented(CONTRACT.document)


def edited(key: tuple[str, str], examples: dict[str, dict[str, Any]]) -> list[str]:
    """The complaints about one cell of the table when it is replaced."""
    complaints = example_complaints(CONTRACT, {**TABLE, key: examples})
    return [complaint for complaint in complaints if complaint.startswith(f"{' '.join(key)}: ")]


def test_every_declared_status_of_every_operation_has_an_example_that_fits() -> None:
    assert example_complaints(CONTRACT, TABLE) == []


def test_the_table_has_every_operation_and_status_of_the_contract() -> None:
    statuses = {
        (name, str(status))
        for name, operation in CONTRACT.operations.items()
        for status in operation.responses
    }
    assert TABLE.keys() - {key for key in TABLE if key[1] == "body"} == statuses


@pytest.mark.parametrize("key", TABLE, ids=" ".join)
def test_a_missing_and_an_unfit_example_are_named(key: tuple[str, str]) -> None:
    for media in TABLE[key]:
        assert edited(key, {media: {}}) == [f"{' '.join(key)}: no example of {media}"]
        if media.endswith("json"):
            assert edited(key, {media: {"odd": {"odd": 1}}}) == [
                f"{' '.join(key)}: the example odd is not what is declared"
            ]
    if key[1] not in ("204", "304"):
        assert edited(key, {}) == [f"{' '.join(key)}: nothing is documented"]
