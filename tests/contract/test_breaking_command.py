"""``python -m deploy.breaking BASE`` in a repository of its own; documents that go round."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.breaking.documents import Document, Unreadable
from deploy.breaking.operations import compare
from tests.contract.breaking_edits import CONTRACT

ROOT = CONTRACT.parents[1]
Run = Callable[..., subprocess.CompletedProcess[str]]
HEAD = "openapi: 3.0.3\ninfo: {title: t, version: 1.0.0}\npaths:\n"
OPERATION = f"""{HEAD}
  /a:
    get:
      operationId: GetA
      responses:
        '200': {{content: {{application/json: {{schema: {{$ref: '#/components/schemas/A'}}}}}}}}
"""
# What edits are made of: the real file changes, and no edit of it is about this command.
SMALL = f"""{HEAD}
  /nodes/{{id}}/state:
    get:
      operationId: GetNodeState
      responses:
        '200': {{content: {{application/json: {{schema: {{$ref: '#/components/schemas/State'}}}}}}}}
        '400': {{$ref: '#/components/responses/Refused'}}
  /nodes/{{id}}/reachability:
    get:
      operationId: GetNodeReachability
      responses:
        '400': {{$ref: '#/components/responses/Refused'}}
components:
  responses:
    Refused:
      content: {{application/problem+json: {{schema: {{$ref: '#/components/schemas/Problem'}}}}}}
  schemas:
    State:
      type: object
      required: [key, value]
      properties:
        key: {{type: string}}
        value: {{type: string}}
        reachability:
          description: The verdict.
          type: string
          enum: [healthy, stale, unreachable]
        workload_tag: {{type: string}}
    Problem:
      type: object
      required: [title, status, detail]
      properties: {{title: {{}}, status: {{}}, detail: {{}}}}
"""
ANY = "components: {schemas: {A: {}}}\n"
AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A clone that holds the contract alone, committed once as ``v1``."""
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / CONTRACT.name).write_text(SMALL, encoding="utf-8")
    for command in (
        ["init", "--quiet", "--initial-branch=work"],
        ["add", "api"],
        [*AUTHOR, "commit", "--quiet", "-m", "api: the contract"],
        ["tag", "v1"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


@pytest.fixture
def breaking(repository: Path) -> Run:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "deploy.breaking", *arguments],
            cwd=repository,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )

    return run


def edit(repository: Path, old: str, new: str) -> int:
    """Replace a text that stands there once; its line."""
    path = repository / "api" / CONTRACT.name
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


def git(repository: Path, *command: str) -> str:
    done = subprocess.run(
        ["git", *AUTHOR, *command], cwd=repository, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_an_untouched_file_breaks_nobody(breaking: Run) -> None:
    done = breaking("v1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"api/{CONTRACT.name} against v1: no difference a client could see\n"


def test_a_breaking_edit_is_named_with_its_line_and_fails(breaking: Run, repository: Path) -> None:
    line = edit(repository, "enum: [healthy, stale, unreachable]", "enum: [healthy, stale, x]")
    done = breaking("HEAD")
    assert done.returncode == 1
    first, second, last = done.stdout.splitlines()
    # The enum itself is below its schema's key, with the description and the type between them.
    assert first.startswith(f"breaking  api/{CONTRACT.name}:{line - 3}  GetNodeState 200 reach")
    assert '#/components/schemas/State/properties/reachability: enum gains "x"; ' in first
    assert second.startswith("breaking") and 'enum loses "unreachable"' in second
    assert last.endswith("against HEAD: 2 breaking")


def test_a_shared_schema_is_named_once_with_all_that_meet_it(
    breaking: Run, repository: Path
) -> None:
    edit(repository, "required: [title, status, detail]", "required: [title]")
    lines = breaking("v1").stdout.splitlines()
    assert [line.split("  ")[0] for line in lines[:-1]] == ["breaking"] * 2
    assert all("GetNodeState 400" in line and " and 1 more  #/" in line for line in lines[:-1])


def test_a_harmless_edit_passes(breaking: Run, repository: Path) -> None:
    edit(repository, "required: [key, value]", "required: [key, value, workload_tag]")
    done = breaking("v1")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].endswith("1 harmless")


def test_what_the_base_has_gained_since_then_is_not_missed(breaking: Run, repository: Path) -> None:
    git(repository, "checkout", "-q", "-b", "main")
    edit(repository, "paths:\n", "paths:\n  /new: {get: {operationId: GetNew, responses: {}}}\n")
    git(repository, "commit", "-qam", "api: more")
    git(repository, "checkout", "-q", "work")
    edit(repository, "required: [key, value]", "required: [key]")
    done = breaking("main")
    assert done.stdout.splitlines()[1:] == [
        f"api/{CONTRACT.name} against main as of {git(repository, 'rev-parse', 'v1')[:12]}, "
        "where HEAD left it: 1 breaking"
    ]


def test_a_base_without_a_common_past_is_one_sentence(breaking: Run, repository: Path) -> None:
    git(repository, "checkout", "-q", "--orphan", "elsewhere")
    git(repository, "commit", "-qam", "api: anew")
    done = breaking("v1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "plexsphere-state: v1 and HEAD have no commit in common: fetch more of their history.\n"
    )


@pytest.mark.parametrize(
    "arguments, reason",
    [
        ([], "name the version to compare with: make breaking BASE=<git ref>."),
        ([""], "name the version to compare with: make breaking BASE=<git ref>."),
        (["no-such-branch"], "git knows no commit no-such-branch."),
        (["--all"], "git knows no commit --all."),
        (["v1:api"], "git knows no commit v1:api."),
    ],
)
def test_a_base_that_is_no_commit_is_one_sentence(
    breaking: Run, arguments: list[str], reason: str
) -> None:
    done = breaking(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"plexsphere-state: {reason}\n"


@pytest.mark.parametrize(
    "text, reason",
    [
        ("openapi: 3.0.3\npaths: {\n", f"api/{CONTRACT.name}:3:1 cannot be read: "),
        ("openapi: 3.0.3\nat: !no x\npaths: {}\n", f"api/{CONTRACT.name}:2:5 cannot be read: "),
        ("- a list\n", f"api/{CONTRACT.name}:1:1 cannot be read: not an OpenAPI document."),
        ("a: 1\n", f"api/{CONTRACT.name} is not an OpenAPI document: it has no paths."),
        ("a: &a [*a]\n", f"api/{CONTRACT.name}:1:4 cannot be read: nested more than 100 deep"),
        (
            OPERATION,
            f"api/{CONTRACT.name}: #/paths/~1a/get/responses/200/content/application~1json",
        ),
        (HEAD + "  /a: [get]\n", f"api/{CONTRACT.name}: #/paths/~1a is not a mapping."),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(
    breaking: Run, repository: Path, text: str, reason: str
) -> None:
    path = repository / "api" / CONTRACT.name
    path.write_text(OPERATION + ANY, encoding="utf-8")
    subprocess.run(["git", *AUTHOR, "commit", "-qam", "api: less"], cwd=repository, check=True)
    path.write_text(text, encoding="utf-8")
    done = breaking("HEAD")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"plexsphere-state: {reason}")
    assert done.stderr.count("\n") == 1


def test_an_unborn_file_and_a_missing_one_are_one_sentence(breaking: Run, repository: Path) -> None:
    (repository / "api" / CONTRACT.name).unlink()
    assert breaking("v1").stderr.startswith(f"plexsphere-state: cannot read api/{CONTRACT.name}: ")
    subprocess.run(["git", *AUTHOR, "commit", "-qam", "api: gone"], cwd=repository, check=True)
    assert breaking("HEAD").stderr == (
        f"plexsphere-state: there is no api/{CONTRACT.name} at HEAD.\n"
    )


@pytest.mark.parametrize(
    "schemas",
    [
        "{A: {type: object, properties: {next: {$ref: '#/components/schemas/A'}}}}",
        "{A: {type: array, items: {$ref: '#/components/schemas/A'}}}",
        "{A: {allOf: [{$ref: '#/components/schemas/A'}, {type: string, maxLength: 4}]}}",
        "{A: {oneOf: [{type: string, maxLength: 4},"
        " {type: array, items: {$ref: '#/components/schemas/A'}}]}}",
        "{A: {type: string, not: {$ref: '#/components/schemas/A'}}}",
        "{A: {type: object, additionalProperties: {$ref: '#/components/schemas/A'}}}",
    ],
)
def test_a_schema_that_contains_itself_comes_to_an_end(schemas: str) -> None:
    text = f"{OPERATION}components:\n  schemas: {schemas}\n"
    first, second = (Document.parse(text.encode(), name) for name in ("old", "new"))
    assert not compare(first, second).places
    assert compare(first, Document.parse((OPERATION + ANY).encode(), "open")).breaks


def test_a_reference_to_itself_alone_and_one_to_elsewhere_are_refused() -> None:
    for target, reason in (
        ("#/components/schemas/A", "refers only to itself"),
        ("https://example.com/a.yaml", "which is not in the file"),
    ):
        text = f"{OPERATION}components: {{schemas: {{A: {{$ref: '{target}'}}}}}}\n"
        document = Document.parse(text.encode(), "a file")
        with pytest.raises(Unreadable, match=reason):
            compare(document, document)
