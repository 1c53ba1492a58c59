"""A frozen tree is what was saved at one moment, and its traces lead to the author's files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from server.dev import reload
from server.dev.commands import REPOSITORY
from server.dev.reload import ROOMS, FrozenTrees, import_path, saved

CONTRACT = "api/plexsphere-v1.yaml"
MODULE = "handlers/domains.py"


class Clone:
    """A small tree, and what a process finds in the one that is served."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = 1_700_000_000 * 10**9
        for name in (CONTRACT, "api/__init__.py", "handlers/__init__.py", MODULE, "wsgi.py"):
            self.write(name, "")
        for room in ("composer", "db/queries", "server/docs"):
            (root / room).mkdir(parents=True)
        self.trees = FrozenTrees(root / ".dev" / "served", root)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.clock += 1  # however fast a test writes, and however coarse the disk's clock is
        os.utime(path, ns=(self.clock, self.clock))

    def save(self, name: str, text: str) -> None:
        """Written and served."""
        self.write(name, text)
        self.trees.serve(self.trees.take(saved(self.root)))

    def run(self, code: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-S", "-c", code],
            cwd=self.root,
            env={**import_path(self.root / ".dev" / "served" / "now"), "PATH": ""},
            capture_output=True,
            text=True,
        )


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    monkeypatch.setattr(reload, "REPOSITORY", tmp_path)
    return Clone(tmp_path)


def test_a_later_save_is_not_in_the_served_tree(clone: Clone) -> None:
    clone.write(MODULE, "print('good')")
    clone.write(CONTRACT, "good")
    clone.trees.begin()
    clone.write(MODULE, "def (")
    clone.write(CONTRACT, "tags: [mesh")
    clone.trees.take(saved(clone.root))
    served = clone.root / ".dev" / "served" / "now"
    assert clone.run("import handlers.domains").stdout == "good\n"
    assert (served / CONTRACT).read_text() == "good"


def test_a_deleted_module_is_not_in_the_next_tree(clone: Clone) -> None:
    clone.trees.begin()
    (clone.root / MODULE).unlink()
    clone.save("wsgi.py", "")
    assert "No module named 'handlers.domains'" in clone.run("import handlers.domains").stderr


def test_a_trace_names_the_authors_file_and_its_line(clone: Clone) -> None:
    clone.write(MODULE, "def f():\n    raise KeyError('x')\n")
    clone.trees.begin()
    result = clone.run("import handlers.domains; handlers.domains.f()").stderr
    assert f'File "{clone.root / MODULE}", line 2, in f' in result
    assert "raise KeyError('x')" in result and "served" not in result


@pytest.mark.parametrize(
    ("text", "line", "why"), [("x = 1\ndef f(:\n", 2, "invalid syntax"), ("\0", 1, "null bytes")]
)
def test_a_syntax_error_is_raised_at_the_import(
    clone: Clone, text: str, line: int, why: str
) -> None:
    clone.write(MODULE, text)
    clone.trees.begin()
    assert clone.run("import handlers").returncode == 0
    result = clone.run("import handlers.domains").stderr
    assert f'File "{clone.root / MODULE}", line {line}' in result and why in result


def test_code_of_an_earlier_save_is_not_used_again(clone: Clone) -> None:
    """Both have one size and are saved within one second."""
    clone.write(MODULE, "print(1)")
    clone.trees.begin()
    clone.save(MODULE, "print(2)")
    assert clone.run("import handlers.domains").stdout == "2\n"


def test_only_the_last_trees_are_kept(clone: Clone) -> None:
    clone.trees.begin()
    for number in range(6):
        clone.save(MODULE, f"print({number})")
    assert len(list((clone.root / ".dev" / "served").iterdir())) == 4  # and the link
    assert clone.run("import handlers.domains").stdout == "5\n"


def test_every_kind_of_file_that_a_worker_reads_is_watched() -> None:
    found = saved()
    assert {
        *("api/plexsphere-v1.yaml", "composer/peers.py", "db/queries/nodes.sql", "wsgi.py"),
        *("db/migrations/0004_audit.sql", "handlers/wire.py", "server/authn/tokens.py"),
        *("server/authz/schema.zed", "server/http/docs/page.js", "server/http/docs/page.css"),
        *("server/http/docs/index.html", "server/http/docs/swagger-ui.css"),
    } <= found.keys()
    files = [file for room in ROOMS for file in (REPOSITORY / room).rglob("*") if file.is_file()]
    left = {file.suffix for file in files if str(file.relative_to(REPOSITORY)) not in found}
    assert left - {".pyc"} == {"", ".md", ".txt"}  # licences, notes


def test_temporary_files_of_editors_are_not_watched(clone: Clone) -> None:
    before = saved(clone.root)
    clone.write("handlers/.domains.py.swp", "x")
    clone.write("handlers/domains.py~", "x")
    (clone.root / "handlers" / ".#domains.py").symlink_to("someone@host")
    clone.write("handlers/__pycache__/domains.py", "x")
    assert saved(clone.root) == before
