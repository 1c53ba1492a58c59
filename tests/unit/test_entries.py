"""The ``state`` and ``reports`` blocks: three buckets by kind, ascending by code point."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from composer.entries import KINDS, EntryRow, reports
from composer.errors import CorruptLedger
from composer.snapshot import Reports, StateEntry
from tests.factories import entry

BUCKETS = {"metadata": "metadata", "data": "data", "report": "reports"}
# By code point; a dictionary would sort them otherwise, UTF-16 would swap the last two.
KEYS = [
    "",
    "-",
    "0",
    "10",
    "9",
    "A",
    "B",
    "_",
    "a",
    "aa",
    "b",
    "z",
    "é",
    "Ω",
    "\uffee",
    "\U0001f600",
]


def test_a_node_without_entries_has_three_empty_buckets() -> None:
    assert reports([]) == Reports((), (), ())


@pytest.mark.parametrize(("kind", "bucket"), BUCKETS.items())
def test_an_entry_goes_into_the_bucket_of_its_kind_and_no_other(kind: str, bucket: str) -> None:
    found = reports([entry(kind, "disk", "ok", "agent")])
    filled = {name: getattr(found, name) for name in BUCKETS.values() if getattr(found, name)}
    assert filled == {bucket: (StateEntry("disk", "ok", "agent"),)}


@pytest.mark.parametrize("kind", KINDS)
def test_keys_ascend_by_code_point(kind: str) -> None:
    rows = [entry(kind, key) for key in KEYS]
    random.Random(5).shuffle(rows)
    found = getattr(reports(rows), BUCKETS[kind])
    assert [entry.key for entry in found] == KEYS


def test_one_key_can_be_of_every_kind() -> None:
    found = reports([entry(kind, "same", kind) for kind in KINDS])
    values = [found.metadata[0].value, found.data[0].value, found.reports[0].value]
    assert values == ["metadata", "data", "report"]


@pytest.mark.parametrize("unset", [None, ""])
def test_an_unset_workload_tag_is_none(unset: str | None) -> None:
    assert reports([entry("data", "site", "x", unset)]).data[0].workload_tag is None


@pytest.mark.parametrize("value", ["", " ", "Zürich", "\u2028", "a" * 4096, "\x00"])
def test_a_value_is_opaque(value: str) -> None:
    assert reports([entry("data", "site", value)]).data[0].value == value


@pytest.mark.parametrize("kind", ["", "reports", "Metadata", "secret"])
def test_another_kind_fails_the_pull(kind: str) -> None:
    with pytest.raises(CorruptLedger, match="kind"):
        reports([entry("data", "a"), entry(kind, "b", "hunter2")])


def test_the_refusal_of_a_kind_does_not_show_the_entry() -> None:
    with pytest.raises(CorruptLedger) as refused:
        reports([entry("hunter2", "hunter2", "hunter2")])
    assert "hunter2" not in str(refused.value)


@given(
    st.lists(
        st.builds(EntryRow, st.sampled_from(KINDS), st.text(max_size=3), st.just("x")),
        unique_by=lambda row: (row.kind, row.key),
        max_size=12,
    )
)
@settings(deadline=None, database=None, max_examples=100)
def test_every_entry_is_kept_and_the_order_of_rows_does_not_matter(rows: list[EntryRow]) -> None:
    found = reports(rows)
    kept = len(found.metadata) + len(found.data) + len(found.reports)
    assert (found, kept) == (reports(rows[::-1]), len(rows))
