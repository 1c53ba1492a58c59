"""The contract suite is not vacuous: every planted breach is caught, and by whom.

The table of what caught what is written to .dev/test/breaches/table.txt.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.contract.breaches import METHOD, PLANTED, Planted
from tests.fuzz.breached_build import Build
from tests.fuzz.small_suite import SmallSuite

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".dev" / "test" / "breaches"


@pytest.fixture(scope="module")
def suite() -> SmallSuite:
    FOLDER.mkdir(parents=True, exist_ok=True)
    build = Build()
    return SmallSuite(FOLDER, build.world(build.application()))


@pytest.fixture(scope="module")
def table() -> Iterator[list[str]]:
    rows: list[str] = []
    yield rows
    (FOLDER / "table.txt").write_text("\n".join(rows) + "\n")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Thousands of refusals are what is wanted here; their log lines are not."""
    logging.disable(logging.CRITICAL)
    with capture_logs():
        yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("operation", sorted({planted.operation for planted in PLANTED}))
def test_the_sound_build_passes(suite: SmallSuite, operation: str) -> None:
    build = Build()
    assert suite.run(build, build.application(), operation) == {}
    assert build.at_runtime == set()


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_planted_breach_is_caught(suite: SmallSuite, table: list[str], planted: Planted) -> None:
    build = Build()
    planted.switch_on(build)
    # only the coverage phase sends methods that are not declared
    application, coverage = build.application(), planted.by == METHOD
    failures = suite.run(build, application, planted.operation, coverage)
    withheld = sorted(part for part in build.at_runtime if part is not None)
    others = sorted(failures.keys() - {planted.by})
    shown = (planted.name, planted.by, ", ".join(others) or "-", ", ".join(withheld) or "no")
    table.append(" | ".join(shown))
    assert planted.by in failures


def test_there_are_enough_and_each_has_a_name() -> None:
    assert len({planted.name for planted in PLANTED}) == len(PLANTED) >= 20
