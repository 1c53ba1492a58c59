"""The short form of `make fuzz`: the contract holds against the real service."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.contract.tables import REACHED
from tests.fuzz.campaign import SHORT_CASES, SHORT_PHASES, SHORT_SECONDS, Run, campaign
from tests.fuzz.exchange import CONTRACT
from tests.fuzz.outcome import Outcome

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".dev" / "test" / "fuzz"
SEED = 20261123
# The run is in the set-up of whichever test asks for it first.
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    run = Run(FOLDER, SHORT_CASES, SEED, SHORT_SECONDS, nodes=16, phases=SHORT_PHASES)
    return campaign(run)


def test_the_contract_holds_and_every_declared_status_is_seen(outcome: Outcome) -> None:
    assert outcome.complaints == []
    assert sum(outcome.tally.seen.values()) > 300


def test_the_inside_is_reached(outcome: Outcome) -> None:
    """Where there are enough valid cases, their share is one of the complaints above."""
    for name, least in REACHED.items():
        assert least is None or outcome.tally.reached[name] > 0, name


def test_junit_and_har_are_written(outcome: Outcome) -> None:
    tests = {case.get("name") for case in ElementTree.parse(FOLDER / "junit.xml").iter("testcase")}
    assert {
        f"{operation.method} {operation.path}" for operation in CONTRACT.operations.values()
    } <= tests
    for name, least in (("requests.har", 200), ("directed.har", 300)):
        entries = json.loads((FOLDER / name).read_text())["log"]["entries"]
        assert len(entries) > least
