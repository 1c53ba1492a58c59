"""The first lines of `make lint-api`, before it lints, and the names that its rules may use.

`make ci` lints the committed contract. tests/fuzz/test_planted_lint_faults.py has the planted
faults.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LINT = ROOT / "deploy" / "lint-api"
INSTALL_AND_RUN_S = 600
pytestmark = pytest.mark.timeout(INSTALL_AND_RUN_S)


def lint(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(LINT / "lint.py"), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def test_the_verbs_of_an_operation_id_are_those_that_the_docs_list() -> None:
    rules = yaml.safe_load((ROOT / ".spectral.yaml").read_text())["rules"]
    match = rules["operation-id-pascal-case"]["then"]["functionOptions"]["match"]
    (line,) = re.findall(
        r"An operationId is (.+) and a noun", (ROOT / "docs" / "spec-authors.md").read_text()
    )
    assert re.findall(r"`(\w+)`", line) == match[2 : match.index(")")].split("|")


def test_a_file_that_is_not_there_is_one_sentence() -> None:
    done = lint("no-such.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "plexsphere-state: there is no file no-such.yaml.\n"


def test_the_linters_lock_names_no_place_to_fetch_from_and_nothing_is_fetched_by_rules() -> None:
    lock = (LINT / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert lock.count('"integrity"') == lock.count('"node_modules/')
    for name in (".spectral.yaml", ".redocly.yaml"):
        assert "://" not in (ROOT / name).read_text()
