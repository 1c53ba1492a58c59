"""The spec author's loop: a saved contract is served, a broken one leaves the old one serving.

Works on a copy of the tree, because the tree itself is what the other tests read.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from server.dev.ports import free_ports
from server.dev.process import descendants
from tests.client import ask
from tests.trees import ROOT, copied_tree

# Several boots of a service follow each other in a test.
pytestmark = pytest.mark.timeout(600)


class Author:
    """A copy of the tree, served from it, and what was said since the last save."""

    def __init__(self, folder: Path, url: str, run: subprocess.Popen[bytes]) -> None:
        self.contract = folder / "api" / "plexsphere-v1.yaml"
        self.log = folder / "run.log"
        self.url = url
        self.run = run
        self._read = 0

    def file(self, path: str) -> Path:
        return self.contract.parents[1] / path

    def save(self, old: str, new: str) -> None:
        text = self.contract.read_text()
        assert old in text
        self._read = len(self.log.read_text())
        self.contract.write_text(text.replace(old, new, 1))

    def saved_version(self) -> str:
        """In the file: right after a reload, the old worker may still answer with its own."""
        (saved,) = re.findall(r"^  version: (\S+)$", self.contract.read_text(), re.MULTILINE)
        return str(saved)

    def save_version(self) -> str:
        """The file with another version."""
        saved = self.saved_version()
        self.save(f"version: {saved}\n", f"version: {saved}1\n")
        return f"{saved}1"

    def version(self) -> str:
        return str(ask(self.url, "/v1/version").json["contract_version"])

    def has_logged(self, sentence: str) -> bool:
        return sentence in self.log.read_text()[self._read :]


def eventually(happened: Callable[[], bool]) -> bool:
    """Polls for so long that only a fault makes it end: a busy machine boots a service slowly."""
    for _ in range(1800):
        with suppress(OSError):
            if happened():
                return True
        time.sleep(0.1)
    return False


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Author]:
    folder = copied_tree(tmp_path_factory.mktemp("tree"))
    (folder / ".dev").mkdir()
    (folder / ".dev" / "npm").symlink_to(ROOT / ".dev" / "npm")
    port = free_ports(1)[0]
    body = f"from server.dev.run import run_dev; run_dev(port={port}, nodes=2, workers=1)"
    env = {**os.environ, "PYTHONPATH": str(folder)}
    with (folder / "run.log").open("wb") as log:
        run = subprocess.Popen(
            [sys.executable, "-c", body], cwd=folder, env=env, stdout=log, stderr=log
        )
    author = Author(folder, f"http://127.0.0.1:{port}", run)
    try:
        assert eventually(lambda: author.has_logged("Ctrl-C stops everything")), (
            author.log.read_text()
        )
        yield author
    finally:
        run.send_signal(signal.SIGINT)
        run.wait(timeout=30)


@pytest.fixture
def author(served: Author) -> Iterator[Author]:
    """Each test but the last leaves the tree as it found it, the version apart, and served."""
    yield served
    assert served.run.poll() is None, served.log.read_text()


def test_files_that_need_each_other_are_served_together(author: Author) -> None:
    """The master has imported some of them already, and its workers are its copies."""
    with author.file("server/authn/key_sources.py").open("a") as documents:
        documents.write("\n\nSAVED = 1\n")
    with author.file("server/wiring.py").open("a") as wiring:
        wiring.write("\n\nfrom server.authn.key_sources import SAVED  # noqa\n")
    version = author.save_version()
    assert eventually(lambda: author.version() == version), author.log.read_text()
    assert not author.has_logged("exited with code"), author.log.read_text()


def test_a_broken_contract_is_told_with_its_place_and_the_old_one_goes_on(author: Author) -> None:
    version = author.saved_version()
    author.save("operationId: GetLivez", "operationId: GetLives")
    assert eventually(lambda: author.has_logged("not reloaded")), author.log.read_text()
    assert author.has_logged("  api/plexsphere-v1.yaml:")
    assert author.has_logged("operation GetLives of the contract has no handler")
    assert author.has_logged("  handlers/__init__.py:")
    assert eventually(lambda: author.version() == version), author.log.read_text()
    author.save("operationId: GetLives", "operationId: GetLivez")


def test_a_save_that_breaks_what_was_just_served_does_not_reach_its_workers(
    author: Author, tmp_path: Path
) -> None:
    """They import for seconds: this one reads its contract behind the second save."""
    wsgi, may_start = author.file("wsgi.py"), tmp_path / "may-start"
    sound = wsgi.read_text()
    is_checked = "'check_boot' in str(sys.modules['__main__'].__spec__)"
    wait = f"while not ({is_checked} or Path({str(may_start)!r}).exists()):\n    time.sleep(0.05)"
    wsgi.write_text(f"import sys, time\nfrom pathlib import Path\n{wait}\n{sound}")
    version = author.save_version()
    assert eventually(lambda: author.has_logged("the saved files boot")), author.log.read_text()
    author.save("\ntags:\n", "\ntags: [mesh\n")
    assert eventually(lambda: author.has_logged("not reloaded")), author.log.read_text()
    may_start.touch()
    assert eventually(lambda: author.version() == version), author.log.read_text()
    wsgi.write_text(sound)
    author.save("\ntags: [mesh\n", "\ntags:\n")
    version = author.save_version()
    assert eventually(lambda: author.version() == version), author.log.read_text()


def test_a_worker_that_dies_comes_back_with_what_is_served(author: Author) -> None:
    """The tree may have changed by then."""
    version = author.saved_version()
    author.save("\ntags:\n", "\ntags: [mesh\n")
    assert eventually(lambda: author.has_logged("not reloaded")), author.log.read_text()
    master = json.loads(author.file(".dev/pids.json").read_text())["gunicorn"]
    assert eventually(lambda: len(descendants(master)) == 1)  # the old worker of a reload is gone
    os.kill(*descendants(master), signal.SIGKILL)
    assert eventually(lambda: author.has_logged("Booting worker")), author.log.read_text()
    assert eventually(lambda: author.version() == version), author.log.read_text()
