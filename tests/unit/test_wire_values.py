"""The form of a moment, a number and a key on the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.wire import json_bytes
from handlers.wire_values import base64_text, instant
from tests.factories import EPOCH

AT = "2026-11-23T07:00:00Z"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_has_no_word_for_is_never_served(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_bytes({"max": number})


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"),
        (EPOCH, AT),
        (EPOCH.replace(microsecond=1), "2026-11-23T07:00:00.000001Z"),
        (EPOCH.replace(microsecond=10), "2026-11-23T07:00:00.00001Z"),
        (EPOCH.replace(microsecond=250_000), "2026-11-23T07:00:00.25Z"),
        (EPOCH.replace(microsecond=100_000), "2026-11-23T07:00:00.1Z"),
        (EPOCH.replace(microsecond=999_999), "2026-11-23T07:00:00.999999Z"),
        (EPOCH.replace(second=10), "2026-11-23T07:00:10Z"),
        (datetime(2000, 10, 20, 10, 20, 30, tzinfo=UTC), "2000-10-20T10:20:30Z"),
        (datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC), "9999-12-31T23:59:59.999999Z"),
        (datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2))), "2025-12-31T23:30:00Z"),
    ],
    ids=str,
)
def test_a_moment_is_rfc_3339_in_utc_without_trailing_zeros(moment: datetime, written: str) -> None:
    assert instant(moment) == written


@given(st.datetimes(timezones=st.just(UTC)))
@settings(deadline=None, database=None, max_examples=100)
def test_a_moment_can_be_read_back(moment: datetime) -> None:
    assert datetime.fromisoformat(instant(moment)) == moment


@given(st.binary(min_size=32, max_size=32))
@settings(deadline=None, database=None, max_examples=50)
def test_a_key_is_44_characters_of_standard_base64(key: bytes) -> None:
    text = base64_text(key)
    assert (len(text), text[-1], set(text) & set("-_")) == (44, "=", set())
