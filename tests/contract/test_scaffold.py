"""What scaffold prints is house style, and who follows it to the letter passes every gate."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from server.contract import Contract
from server.dev.scaffold import Part, parts
from server.dev.scaffold.pieces import ADDED, NEW
from server.dev.scaffold.tree import Tree
from tests.contract.pasting import ROOMS, copied, pasted
from tests.contract.scaffolded import SAMPLES, declaring

ROOT = Path(__file__).resolve().parents[2]
RUFF = ("--no-cache", "--config", str(ROOT / "deploy" / "ruff.toml"))
PYTEST = ("-q", "-c", os.devnull, "--rootdir", ".", "--import-mode=importlib", "-W", "ignore")


@dataclass
class Pasted:
    """A tree in which every sample is declared and what was printed for it pasted, one by one.

    ``new`` has the printed files alone, as they were printed.
    """

    root: Path
    new: Path
    printed: dict[str, list[Part]] = field(default_factory=dict)

    def paste(self, kind: str, contract: Contract) -> None:
        """What is printed for the tree as it stands."""
        self.printed[kind] = parts(SAMPLES[kind].name, contract, Tree(self.root))
        for part in self.printed[kind]:
            pasted(self.root, part)
            if part.how == NEW:
                (self.new / part.path).parent.mkdir(parents=True, exist_ok=True)
                (self.new / part.path).write_text(part.code)

    def places(self, kind: str) -> dict[str, str]:
        """Of the rooms and the unit tests: file -> what to do with it."""
        rooms = ("handlers/", "db/", "tests/unit/")
        return {one.path: one.how for one in self.printed[kind] if one.path.startswith(rooms)}


def run(place: Path, *command: str) -> str:
    """What a tool says of a tree; it has to be content."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Pasted:
    """At last `make fmt`, as after every pasting."""
    place = tmp_path_factory.mktemp("scaffold")
    tree = Pasted(copied(place / "tree"), place / "new")
    file = tree.root / "api" / "plexsphere-v1.yaml"
    file.write_bytes(declaring(*SAMPLES.values()))
    contract = Contract(file.read_bytes())
    for kind in SAMPLES:
        tree.paste(kind, contract)
    run(tree.root, "ruff", "check", "--fix", *RUFF, *ROOMS)
    run(tree.root, "ruff", "format", *RUFF, *ROOMS)
    return tree


@pytest.mark.parametrize("command", [["check"], ["format", "--check", "--diff"]], ids=str)
def test_a_printed_file_is_as_ruff_would_have_it(tree: Pasted, command: list[str]) -> None:
    assert len([*tree.new.rglob("*.py")]) == 3 * 11
    run(tree.new, "ruff", *command, *RUFF, ".")


def test_what_was_pasted_is_as_ruff_and_mypy_would_have_it(tree: Pasted) -> None:
    run(tree.root, "ruff", "check", *RUFF, *ROOMS)
    run(
        tree.root, "mypy", "--strict", "--cache-dir", os.devnull, "-p", "composer", "-p", "handlers"
    )


def test_the_printed_tests_pass_and_so_does_every_gate(tree: Pasted) -> None:
    units = sorted({path for kind in SAMPLES for path in tree.places(kind) if "/unit/" in path})
    said = run(tree.root, "pytest", *PYTEST, "tests/contract/pasted_gates.py", *units)
    # of each printed: what its port shows, two strangers, both outcomes on record, a 503
    of_units = len(SAMPLES) + (2 + 1) * 12 + 14
    (passed,) = re.findall(r"(\d+) passed", said)
    assert int(passed) > of_units + 4 * len(SAMPLES)


def test_a_second_operation_of_a_noun_is_added_to_what_the_first_one_made(tree: Pasted) -> None:
    assert set(tree.places("of a Node").values()) >= {NEW}
    for kind in ("of the same noun", "of it once more"):
        assert tree.places(kind) == {
            "handlers/node_wombats.py": ADDED,
            "handlers/__init__.py": "in OPERATIONS",
            "db/node_wombats.py": "a method more in PostgresNodeWombats",
            "tests/unit/test_node_wombats.py": ADDED,
        }
    handlers = (tree.root / "handlers" / "node_wombats.py").read_text()
    assert handlers.count("class ") == 2
    for relation in ("read", "put", "delete"):
        assert handlers.count(f'"node_wombats.{relation}"') == 1
