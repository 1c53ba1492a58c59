"""A small matrix of faults: answers and losses, and never a time. ``make faults`` has the whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.dev.stack import Stack
from tests.faults import cells
from tests.faults.cell import run
from tests.faults.world import World

SECONDS = 0.5


@pytest.fixture(scope="module")
def broken(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A service of its own, with a proxy before each part of the shared stack."""
    folder: Path = tmp_path_factory.mktemp("faults")
    (folder / "state").mkdir(mode=0o700)
    (folder / "clock").write_text("0")
    world = World(stack, folder, is_whole=False)
    yield world
    world.close()
    world.run("DELETE FROM plexsphere.node_state_entries WHERE key = 'seq'")


@pytest.mark.parametrize(
    ("dependency", "fault", "seen"),
    [
        ("Postgres", "refused", "200 stale"),
        ("Postgres", "cut in mid-answer", "503 datastore_unavailable"),
        ("Postgres", "wrong data", "503 datastore_unavailable"),
        ("SpiceDB", "refused", "503 authz_unavailable"),
        ("SpiceDB", "wrong data", "503 authz_unavailable"),
        ("JWKS URL", "refused", "200"),
        ("audit table", "full", "503 datastore_unavailable"),
        ("clock", "wrong data", "401 unauthorized"),
    ],
)
def test_no_fault_makes_a_wrong_answer_or_loses_one(
    broken: World, dependency: str, fault: str, seen: str
) -> None:
    how = cells.broken(dependency, fault)
    assert isinstance(how, cells.Broken)
    cell = run(broken, dependency, fault, how, SECONDS)
    assert seen in cell.answers
    counted = {name: getattr(cell, name) for name in ("wrong", "fail_open", "partial", "lost")}
    assert counted == dict.fromkeys(counted, 0), cell.notes
    assert cell.recovered_s is not None
