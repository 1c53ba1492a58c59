"""Durations as Go reads and prints them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from composer.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds", "printed"),
    [
        ("0", 0, "0s"),
        ("0s", 0, "0s"),
        ("30s", 30, "30s"),
        ("90s", 90, "1m30s"),
        ("1m30s", 90, "1m30s"),
        ("5m", 300, "5m0s"),
        ("1h", 3600, "1h0m0s"),
        ("1.5m", 90, "1m30s"),
        ("1500ms", 1.5, "1.5s"),
        ("10us", 0.00001, "0.00001s"),
        ("1999ns", 0.000001, "0.000001s"),
        ("1h1s1m", 3661, "1h1m1s"),
        ("+30s", 30, "30s"),
        ("+0", 0, "0s"),
        (".5m", 30, "30s"),
        ("1.s", 1, "1s"),
        ("1.m.5s", 60.5, "1m0.5s"),
        ("30000000\u00b5s", 30, "30s"),
        ("30000000\u03bcs", 30, "30s"),
        ("00000000000000000000030s", 30, "30s"),
        ("1.0000000000000000000001s", 1, "1s"),
        ("2562047h47m16s", 9223372036, "2562047h47m16s"),
    ],
)
def test_a_duration_is_read_and_printed(text: str, seconds: float, printed: str) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)
    assert format_duration(parse_duration(text)) == printed


@pytest.mark.parametrize(
    "text",
    [
        *("", "30", "s", "-30s", "-0", "30 s", "30S", "30s ", "30s\n", "1d", "１s", "1mss"),
        *("+", "++1s", "+-1s", "1s+1s", ".", ".s", "1..s", "1.2.3s", ".0", "0.", "00", "1h30"),
        *("2562047h47m16.854775808s", "9" * 12 + "h", "9" * 5000 + "s"),
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)
