"""The contract suite is not vacuous: every planted breach is caught, and by whom.

The table of what caught what is written to .dev/test/breaches/table.txt, as decision 0051 has it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from structlog.testing import capture_logs

from tests.fuzz.breached_build import Build
from tests.fuzz.breaches import PLANTED, Planted
from tests.fuzz.exchange import CONTRACT
from tests.fuzz.small_suite import SmallSuite

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".dev" / "test" / "breaches"
DOCUMENTED = ROOT / "docs" / "decisions" / "0051-planted-breaches.md"


@pytest.fixture(scope="module")
def suite() -> SmallSuite:
    FOLDER.mkdir(parents=True, exist_ok=True)
    return SmallSuite(FOLDER, Build().world())


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
    """In the phases in which a breach of the operation has to be seen."""
    build, coverage = (
        Build(),
        any(breach.coverage for breach in PLANTED if breach.operation == operation),
    )
    assert suite.run(build, build.application(), operation, coverage) == {}
    assert build.at_runtime == set()


def test_a_run_leaves_the_contract_of_the_process_as_it_is(suite: SmallSuite) -> None:
    suite.run(build := Build(), build.application(), "ListDomainNodes", coverage=False)
    assert yaml.safe_load(CONTRACT.raw) == CONTRACT.document


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_planted_breach_is_caught(suite: SmallSuite, table: list[str], planted: Planted) -> None:
    build = Build()
    planted.switch_on(build)
    failures = suite.run(build, build.application(), planted.operation, planted.coverage)
    withheld = sorted(part for part in build.at_runtime if part is not None)
    others = ", ".join(f"`{check}`" for check in sorted(failures.keys() - {planted.by}))
    shown = (planted.name, f"`{planted.by}`", others, ", ".join(withheld) or "no")
    table.append(f"| {' | '.join(shown)} |")
    assert planted.by in failures


def test_the_documented_table_is_of_these_breaches() -> None:
    text = DOCUMENTED.read_text()
    rows = re.findall(r"^\| ([^|]+) \| `(\w+)` \|", text, re.MULTILINE)
    assert rows == [(planted.name, planted.by) for planted in PLANTED]
    assert f"plants {len(PLANTED)} breaches" in text


def test_there_are_enough_and_each_has_a_name() -> None:
    assert len({planted.name for planted in PLANTED}) == len(PLANTED) >= 20
