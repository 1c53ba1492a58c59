"""What scaffold prints is house style: it compiles, lints, formats, and its tests pass."""

from __future__ import annotations

import copy
import inspect
import os
import re
import subprocess
import sys
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import server.operations
from handlers import OPERATIONS, UNPROVISIONED, refusals
from handlers.answers import Answer
from server.contract import Contract
from server.dev.scaffold import ScaffoldError, parts, scaffold
from server.operations import coverage_complaints, gate_of
from server.problem_check import problem_complaints
from server.signatures import signature_complaints
from tests.contract import answered, attacked
from tests.contract.drift import table_complaints
from tests.contract.tables import TABLES

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
ZONES = "\n        - $ref: '#/components/parameters/DomainId'\n"
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
    "of a Domain": operation("/v1/domains/{domain_id}/zones", "ListDomainZones", ZONES),
    "of a changed Domain": operation(
        "/v1/domains/{domain_id}/zone", "PutDomainZone", ZONES, extra=JSON_BODY, method="put"
    ),
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
    imports = "from collections.abc import Mapping\nfrom typing import Any\n"
    fakes = (ROOT / "tests" / "fakes.py").read_text().replace(FUTURE, FUTURE + imports, 1)
    for kind, contract in KINDS.items():
        printed = {part.path: part for part in parts(NEW[kind], contract)}
        fakes += f"\n\n{printed['tests/fakes.py'].code}"
        if "handlers/refusals.py" in printed:
            with (place / "handlers" / "refusals.py").open("a") as refusals:
                refusals.write(printed["handlers/refusals.py"].code)
        new = [part for part in printed.values() if part.how == NEW_FILE]
        assert len(new) == 2
        for part in new:
            (place / part.path).write_text(part.code)
    (place / "tests" / "fakes.py").write_text(fakes)
    return place


def made(contract: Contract, name: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """The handler as it is printed, on the refusals and with the gate 0 that are printed."""
    printed = {part.path: part for part in parts(name, contract)}
    if "handlers/refusals.py" in printed:
        kinds: dict[str, Any] = {}
        exec(printed["handlers/refusals.py"].code, {"RefusalKind": refusals.RefusalKind}, kinds)
        for kind, value in kinds.items():
            monkeypatch.setattr(refusals, kind, value, raising=False)
    (path,) = (p for p in printed if p.startswith("handlers/") and printed[p].how == NEW_FILE)
    module = types.ModuleType("made")
    monkeypatch.setitem(sys.modules, "made", module)  # where a dataclass looks annotations up
    exec(compile(printed[path].code, path, "exec"), module.__dict__)
    index = printed["handlers/__init__.py"].code
    words = dict(re.findall(r'^"?(\w+)"?: (\w+),$', index, re.MULTILINE))
    gates = {module.__dict__[k]: module.__dict__[v] for k, v in words.items() if k != name}
    monkeypatch.setattr(server.operations, "UNPROVISIONED", {**UNPROVISIONED, **gates})
    found: Callable[..., Answer] = module.__dict__[words[name]]
    return found


def rows(contract: Contract, name: str) -> dict[str, dict[str, Any]]:
    """The rows that are printed, in the tables they are for."""
    printed = {part.path: part.code for part in parts(name, contract)}
    titles = {"AUTHN": "authn", "AUTHZ": "authz", "AUDIT": "audit", "REACHED": "fuzz"}
    lines = [one.split(": ", 1) for one in printed["tests/contract/tables.py"].splitlines()]
    found = {titles[table]: eval(f"{{{row}}}") for table, row in lines}
    for title, place in (("attack", attacked), ("answer", answered)):
        code = printed[f"tests/contract/{title}ed.py"]
        found[title] = eval(f"{{{code}}}", {**vars(place), "replace": replace})
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_printed_fills_every_table(kind: str) -> None:
    contract, name = KINDS[kind], NEW[kind]
    new = rows(contract, name)
    tables = {title: {**table, **new[title]} for title, table in TABLES.items()}
    assert (
        table_complaints([name], {title: {name: row[name]} for title, row in tables.items()}) == []
    )
    assert new.keys() == TABLES.keys()
    relation, outcomes = new["authz"][name], new["audit"][name]
    assert outcomes == (("granted", "insufficient_relation") if relation else ())
    assert bool(new["attack"][name].audit_relation) == bool(relation)


@pytest.mark.parametrize("about", ["Node", "Domain"])
def test_no_refusal_of_a_printed_handler_breaches_the_contract(
    about: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = declared_in_full(about)
    handler = made(contract, "GetSurprise", monkeypatch)
    handlers = {**OPERATIONS, "GetSurprise": handler}
    assert problem_complaints(contract, handlers) == []
    assert gate_of(handler) is not None


def declared_in_full(about: str) -> Contract:
    """The contract with one more read, which declares what its sibling does."""
    path = {"Node": "/v1/nodes/{id}/reachability", "Domain": "/v1/domains/{domain_id}"}[about]
    document = copy.deepcopy(Contract.packaged().document)
    read = {**document["paths"][path]["get"], "operationId": "GetSurprise"}
    document["paths"][f"{path}/surprise"] = {"get": read}
    return Contract(yaml.safe_dump(document, sort_keys=False).encode())


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
def test_the_handler_passes_the_drift_gates(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    contract, name = KINDS[kind], NEW[kind]
    handler = made(contract, name, monkeypatch)
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
        assert f"    {one}\n" in "".join(part.code for part in printed)


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
    # An answer each; one or two strangers where a credential is asked for; both outcomes on record
    # where a relation is; a 503 where declared.
    assert f"{11 + 6 * 2 + 2 * 1 + 6 + 10} passed" in said


def test_every_part_says_where_it_goes() -> None:
    text = scaffold(NEW["of a Node"], KINDS["of a Node"])
    for path in (
        "handlers/node_peers.py: a new file",
        "handlers/refusals.py: ",
        "handlers/__init__.py: in OPERATIONS and UNPROVISIONED",
        "tests/fakes.py: ",
        "tests/unit/test_node_peers.py: a new file",
        "tests/contract/tables.py: ",
        "tests/contract/attacked.py: ",
        "tests/contract/answered.py: ",
        "server/wiring_ports.py: ",
    ):
        assert f"# {path}" in text
    assert '"GetNodePeers": get_node_peers,' in text
    assert "NodePeersPorts: refuse_node_peers," in text
    assert 'of_a_node("node_peers.read"),' in text
    assert "NodePeersPorts(relations, nodes, PostgresNodePeers(reads), audit)," in text


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
    bad = operation("/v1/a", "GetA", "\n        - { name: a-b, in: query, schema: {} }\n")
    with pytest.raises(ScaffoldError, match="parameter a-b cannot be a name in Python"):
        parts("GetA", bad)
