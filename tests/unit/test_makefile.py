"""A target does what its help says of its variables."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HELP = (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("target", ["bench", "bench-validation", "bench-registry", "fuzz"])
def test_the_variables_of_a_target_reach_its_command(target: str) -> None:
    """And none is given where none is set, so that the command's own defaults hold."""
    (sentence,) = re.findall(rf"^{target}: ## (.*)", HELP, re.MULTILINE)
    names = re.findall(r"([A-Z]+)=", sentence)
    assert names
    values = {name: f"7{number}" for number, name in enumerate(names)}
    command = dry_run(target, *(f"{name}={value}" for name, value in values.items()))
    for name, value in values.items():
        assert f"--{name.lower()} {value}" in command
    assert not re.search(r"--(sizes|seconds|connections|clients|seed|url|token)\b", dry_run(target))


def test_a_deployed_service_is_fuzzed_without_the_tests_of_the_clone() -> None:
    deployed = dry_run("fuzz", "URL=https://state.example", "TOKEN=secret")
    assert "pytest" in dry_run("fuzz")
    assert "pytest" not in deployed
    assert "--url https://state.example --token secret" in deployed


def dry_run(*arguments: str) -> str:
    """Without what an outer make, or a person's shell, has set."""
    done = subprocess.run(
        ["make", "--dry-run", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
