"""A copy of the tree, and what scaffold prints pasted into it to the letter."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from server.dev.scaffold import Part
from server.dev.scaffold.layout import import_block
from server.dev.scaffold.pieces import ADDED, NEW

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("api", "composer", "db", "handlers", "server", "tests")
FUTURE = "from __future__ import annotations\n\n"
# A line that stands in the file, before which a piece goes.
BEFORE = {
    "above CATALOGUE": "\n# All of the above, in their order.\n",
    "among the ports": "        pull,\n",
    "among what FakeService stands on": "        self.metrics = Metrics()\n",
    "among what it wires": "        bound = bind(",
    "in the enum of Problem.code": "            - unauthorized\n",
    "in the table": "| 401 | `unauthorized` |",
    "in components/responses": "    NotModified:\n",
    "in components/examples": "    SnapshotOfABridgeNode:\n",
}


def copied(root: Path) -> Path:
    """The rooms, and the one page that a gate reads; no fixture of the suite's comes along."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, root / room, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "tests" / "conftest.py").unlink()
    (root / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "problems.md", root / "docs" / "problems.md")
    return root


def pasted(root: Path, part: Part) -> None:
    """One piece in its place. ``how`` is all that says where it is."""
    place = root / part.path
    if part.how == NEW:
        assert not place.exists(), part.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(part.code)
        return
    text = place.read_text()
    for pattern, put in WAYS.items():
        found = re.fullmatch(pattern, part.how)
        if found is not None:
            text = put(text, part.code, *found.groups())
            break
    else:
        raise AssertionError(f"nobody knows where this goes: {part.how}")
    if part.imports:
        assert FUTURE in text
        text = text.replace(FUTURE, FUTURE + import_block(part.imports), 1)
    place.write_text(text)


def _anchored(text: str, code: str, how: str) -> str:
    anchor = BEFORE[how]
    assert text.count(anchor) == 1, how
    return text.replace(anchor, f"{code}{anchor}")


def _in_table(text: str, code: str, name: str) -> str:
    """Before the brace that closes the mapping of this name."""
    (found,) = (
        one.value
        for one in ast.parse(text).body
        if isinstance(one, (ast.Assign, ast.AnnAssign))
        and ast.unparse(one.target if isinstance(one, ast.AnnAssign) else one.targets[0]) == name
    )
    mapping = next(one for one in ast.walk(found) if isinstance(one, ast.Dict))
    return _inserted(text, mapping.end_lineno - 1, code)


def _in_class(text: str, code: str, name: str) -> str:
    (found,) = (
        one for one in ast.parse(text).body if isinstance(one, ast.ClassDef) and one.name == name
    )
    return _inserted(text, found.end_lineno, f"\n{code}")


def _inserted(text: str, at: int, code: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join([*lines[:at], code, *lines[at:]])


def _in_each_table(text: str, code: str) -> str:
    for row in code.splitlines():
        table, _, line = row.partition(": ")
        text = _in_table(text, f"    {line}\n", table)
    return text


def _in_operation(text: str, code: str, name: str, status: str) -> str:
    """In place of an answer, or before the first one of a greater status, or behind them all."""
    head, tail = text.split(f"operationId: {name}\n")
    lines = tail.splitlines(keepends=True)
    own = f"        '{status}':"
    statuses = [n for n, line in enumerate(lines) if re.match(r"        '\d", line)]
    first = statuses[0]
    last = next(n for n, line in enumerate(lines[first:], first) if not line.startswith(" " * 8))
    at = next((n for n in statuses if n < last and lines[n] >= own), last)
    end = at + lines[at].startswith(own)
    assert at == last or "{ $ref" in lines[at]
    return head + f"operationId: {name}\n" + "".join([*lines[:at], code, *lines[end:]])


WAYS: dict[str, Callable[..., str]] = {
    ADDED: lambda text, code: f"{text}\n\n{code}",
    r"in ([A-Z_]+)": _in_table,
    r"a method more in (\w+)": _in_class,
    "a row in each table": _in_each_table,
    r"in (\w+), its (\d+)": _in_operation,
    f"({'|'.join(BEFORE)})": _anchored,
}
