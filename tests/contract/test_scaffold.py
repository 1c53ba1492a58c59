"""What scaffold prints is house style: it compiles, lints, formats, and its tests pass."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from handlers import OPERATIONS
from server.contract import Contract
from server.dev.scaffold import ScaffoldError, parts, scaffold
from server.operations import coverage_complaints
from server.signatures import signature_complaints

ROOT = Path(__file__).resolve().parents[2]
SUCCESS = "        '200': {description: Done., content: {MEDIA: {schema: SCHEMA}}HEADERS}\n"
AWAY = "        '503': { $ref: '#/components/responses/DependencyUnavailable' }\n"
QUERY = """
        - { name: limit, in: query, schema: { type: integer, default: 5 } }
        - { name: after, in: query, schema: { type: string } }
        - { name: exact, in: query, required: true, schema: { type: boolean } }
        - { name: share, in: query, schema: { type: number } }
        - { name: tags, in: query, schema: { type: array, items: { type: string } } }
"""
JSON_BODY = """\
      requestBody:
        required: true
        content: { application/json: { schema: { type: object, additionalProperties: true } } }
"""
NODE = "\n        - $ref: '#/components/parameters/NodeId'"
HEADERS = ", headers: {ETag: {$ref: '#/components/headers/ETag'}}"


def operation(
    path: str,
    name: str,
    parameters: str = " []\n",
    media: str = "application/json",
    headers: str = "",
    away: bool = True,
    extra: str = "",
    method: str = "get",
) -> Contract:
    """The real contract with one more operation, which has no handler."""
    success = SUCCESS.replace("MEDIA", media).replace("SCHEMA", "{}").replace("HEADERS", headers)
    if not media:
        success = "        '204': {description: Done.}\n"
    added = (
        f"  {path}:\n    {method}:\n      operationId: {name}\n      summary: Some words.\n{extra}"
        f"      parameters:{parameters}      responses:\n{success}{AWAY if away else ''}\n"
    )
    text = Contract.packaged().raw.decode()
    return Contract(text.replace("\ncomponents:\n", f"\n{added}components:\n", 1).encode())


NEW_FILE = "a new file"
FUTURE = "from __future__ import annotations\n"
OPEN = "      security: []\n"
KINDS = {
    "of a Node": operation("/v1/nodes/{id}/peers", "GetNodePeers", NODE + "\n", headers=HEADERS),
    "of a Node with a query": operation("/v1/nodes/{id}/events2", "GetNodeWords", NODE + QUERY),
    "of a caller": operation("/v1/fleets", "ListFleets", QUERY),
    "open": operation("/v1/limits", "GetLimits", extra=OPEN, away=False),
    "open text": operation("/robots.txt", "GetRobots", media="text/plain", extra=OPEN),
    "without a body": operation("/v1/ping", "Ping", media="", extra=OPEN),
    "with a request body": operation("/v1/echo", "PostEcho", extra=JSON_BODY, method="post"),
    "of a Node with a query and a body": operation(
        "/v1/nodes/{id}/echo", "PutNodeEcho", NODE + QUERY, extra=JSON_BODY, method="put"
    ),
    "with a long name": operation(
        "/v1/nodes/{id}/all", "GetNodeStateHistoryOfEveryReportedWorkload", NODE + QUERY
    ),
}
NEW = {name: next(iter(set(c.operations) - set(OPERATIONS))) for name, c in KINDS.items()}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rooms as they are, and every operation's printed files in them."""
    place = tmp_path_factory.mktemp("tree")
    for name in ("composer", "handlers"):
        (place / name).mkdir()
        for path in (ROOT / name).glob("*.py"):
            (place / name / path.name).write_bytes(path.read_bytes())
    (place / "tests" / "unit").mkdir(parents=True)
    for name in ("__init__.py", "factories.py"):
        (place / "tests" / name).write_bytes((ROOT / "tests" / name).read_bytes())
    imports = (
        "from collections.abc import Mapping\nfrom typing import Any\n"
        "from composer.identity import AddressedNode\n"
    )
    fakes = (ROOT / "tests" / "fakes.py").read_text().replace(FUTURE, FUTURE + imports, 1)
    for kind, contract in KINDS.items():
        handler, _, fake, test, *_ = parts(NEW[kind], contract)
        fakes += f"\n\n{fake.code}"
        for part in (handler, test):
            assert part.how == NEW_FILE
            (place / part.path).write_text(part.code)
    (place / "tests" / "fakes.py").write_text(fakes)
    return place


def run(place: Path, *command: str) -> str:
    """What a tool says of the tree; it has to be content."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_the_handler_passes_the_drift_gates(kind: str) -> None:
    contract, name = KINDS[kind], NEW[kind]
    part = parts(name, contract)[0]
    made = types.ModuleType("made")
    sys.modules["made"] = made  # where a dataclass looks its annotations up
    exec(compile(part.code, part.path, "exec"), made.__dict__)
    handler = made.__dict__[ast.parse(part.code).body[-1].name]  # type: ignore[attr-defined]
    assert list(inspect.signature(handler).parameters)[:2] == ["ports", "call"]
    handlers = {**OPERATIONS, name: handler}
    assert coverage_complaints(contract, handlers) == []
    assert signature_complaints(contract.operations, handlers) == []


def test_the_annotations_are_those_of_python() -> None:
    printed = parts(
        NEW["of a Node with a query and a body"], KINDS["of a Node with a query and a body"]
    )
    for one in (
        "limit: int,",
        "after: str | None = None,",
        "exact: bool,",
        "share: float | None = None,",
        "tags: list[str] | None = None,",
        "body: Mapping[str, Any],",
    ):
        assert f"    {one}\n" in printed[0].code


@pytest.mark.parametrize("command", [["check"], ["format", "--check", "--diff"]], ids=str)
def test_the_printed_files_are_as_ruff_would_have_them(tree: Path, command: list[str]) -> None:
    printed = [p.path for kind in KINDS for p in parts(NEW[kind], KINDS[kind]) if p.how == NEW_FILE]
    assert len(printed) == 2 * len(KINDS)
    config = str(ROOT / "deploy" / "ruff.toml")
    run(tree, "ruff", *command, "--no-cache", "--config", config, *printed)


def test_the_printed_handlers_are_as_mypy_would_have_them(tree: Path) -> None:
    run(tree, "mypy", "--strict", "--cache-dir", os.devnull, "-p", "handlers")


def test_the_printed_tests_pass(tree: Path) -> None:
    options = ("-q", "-c", os.devnull, "--rootdir", ".", "--import-mode=importlib")
    said = run(tree, "pytest", *options, "-p", "no:cacheprovider", "tests/unit")
    # An answer each; one or two strangers where a credential is asked for; a 503 where declared.
    assert f"{9 + 4 * 2 + 2 * 1 + 8} passed" in said


def test_every_part_says_where_it_goes() -> None:
    text = scaffold(NEW["of a Node"], KINDS["of a Node"])
    for path in (
        "handlers/node_peers.py: a new file",
        "handlers/__init__.py: in OPERATIONS",
        "tests/fakes.py: ",
        "tests/unit/test_node_peers.py: a new file",
        "tests/contract/tables.py: ",
        "server/wiring.py: ",
    ):
        assert f"# {path}" in text
    assert '"GetNodePeers": get_node_peers,' in text
    assert "ports[NodePeersPorts] = NodePeersPorts(gates=live.ports, " in text


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_with_a_handler_says_which(name: str) -> None:
    assert scaffold(name).startswith(f"# Today {name} is handlers.")


def test_an_operation_without_a_success_is_refused_until_it_has_one() -> None:
    printed = parts("GetNodeEvents")
    assert [part.path for part in printed] == ["handlers/__init__.py", "tests/contract/tables.py"]
    assert printed[0].code == '"GetNodeEvents": refuse_pull,\n'


@pytest.mark.parametrize(
    "name, reason",
    [
        ("GetNodeStat", "operation GetNodeStat is not in the contract; did you mean GetNodeState?"),
        ("Xyz", "operation Xyz is not in the contract; declare it there first."),
    ],
)
def test_an_operation_that_is_not_declared_is_one_sentence(name: str, reason: str) -> None:
    with pytest.raises(ScaffoldError) as error:
        scaffold(name)
    assert str(error.value) == reason


def test_a_parameter_that_python_cannot_name_is_one_sentence() -> None:
    bad = operation("/v1/a", "GetA", "\n        - { name: from, in: query, schema: {} }\n")
    with pytest.raises(ScaffoldError, match="parameter from cannot be a name in Python"):
        parts("GetA", bad)
