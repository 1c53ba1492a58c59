"""The test-only clock: a file that says how far time is ahead."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from composer.errors import ComposerError
from server.dev.movable_clock import MovableClock
from server.receipt import WiringReceipt
from server.settings import SettingsError, read_settings
from server.test_clock import ClockFile
from server.wiring import wire


def test_time_is_as_far_ahead_as_was_moved(tmp_path: Path) -> None:
    movable, read = MovableClock(tmp_path / "ahead"), ClockFile(tmp_path / "ahead")
    movable.ensure()
    seen = [read()]
    for seconds in (90, 210.5):
        movable.forward(seconds)
        seen.append(read())
    assert seen == [timedelta(0), timedelta(seconds=90), timedelta(seconds=300.5)]


def test_a_later_start_finds_time_where_it_was(tmp_path: Path) -> None:
    MovableClock(tmp_path / "ahead").ensure()
    MovableClock(tmp_path / "ahead").forward(300)
    MovableClock(tmp_path / "ahead").ensure()
    assert MovableClock(tmp_path / "ahead").offset == timedelta(seconds=300)


BAD = ["", "soon", "-1", "nan", "inf", "1e30", "1 2", "\u0661"]


@pytest.mark.parametrize("text", BAD, ids=ascii)
def test_a_file_that_says_nothing_is_refused_at_boot_and_later(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ahead"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"^PLEXSPHERE_TEST_CLOCK must be a file"):
        read_settings({"PLEXSPHERE_TEST_CLOCK": str(path)})
    with pytest.raises(ComposerError):
        ClockFile(path)()


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        read_settings({"PLEXSPHERE_TEST_CLOCK": str(tmp_path / "none")})


def test_a_receipt_says_that_time_is_moved_and_by_which_file(tmp_path: Path) -> None:
    path = tmp_path / "ahead"
    path.write_text("0")
    receipt = wire(read_settings({"PLEXSPHERE_TEST_CLOCK": str(path)})).receipt
    assert f"  TEST CLOCK: {path} moves time" in receipt.lines()


def test_a_receipt_of_real_time_has_no_clock() -> None:
    assert not [line for line in WiringReceipt({}, {}).lines() if "CLOCK" in line]
