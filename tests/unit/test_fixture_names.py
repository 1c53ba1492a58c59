"""A plug-in's fixtures are every module's of the same process, whichever named the plug-in."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def plug_ins() -> set[Path]:
    """Modules that some test module names in ``pytest_plugins``, and conftests."""
    found = set(TESTS.rglob("conftest.py"))
    for file in TESTS.rglob("test_*.py"):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytest_plugins":
                named = ast.literal_eval(node.value)
                modules = [named] if isinstance(named, str) else named
                found |= {TESTS.parent.joinpath(*m.split(".")).with_suffix(".py") for m in modules}
    return found


def fixtures_of(file: Path) -> list[str]:
    functions = [n for n in ast.parse(file.read_text()).body if isinstance(n, ast.FunctionDef)]
    return [
        function.name
        for function in functions
        if any(
            ast.unparse(decorator).startswith("pytest.fixture")
            for decorator in function.decorator_list
        )
    ]


def test_no_two_plug_ins_give_a_fixture_the_same_name() -> None:
    """The one loaded last would win in the modules of the other."""
    names = Counter(name for file in plug_ins() for name in fixtures_of(file))
    assert "ledger_dsn" in names  # it found them at all
    assert [name for name, times in names.items() if times > 1] == []
