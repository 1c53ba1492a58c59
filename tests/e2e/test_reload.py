"""The spec author's loop: a saved contract is served, a broken one leaves the old one serving.

Works on a copy of the tree, because the tree itself is what the other tests read.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from server.dev.ports import free_ports
from tests.client import ask

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("api", "composer", "db", "handlers", "server", "wsgi.py", "setup.cfg")


class Author:
    """A copy of the tree, served from it, and what was said."""

    def __init__(self, folder: Path, url: str) -> None:
        self.contract = folder / "api" / "plexsphere-v1.yaml"
        self.log = folder / "run.log"
        self.url = url

    def file(self, path: str) -> Path:
        return self.contract.parents[1] / path

    def save(self, old: str, new: str) -> None:
        text = self.contract.read_text()
        assert old in text
        self.contract.write_text(text.replace(old, new, 1))

    def version(self) -> str:
        return str(ask(self.url, "/v1/version").json["contract_version"])

    def said(self, sentence: str) -> bool:
        return sentence in self.log.read_text()


def eventually(happened: Callable[[], bool]) -> bool:
    for _ in range(600):
        with suppress(OSError):
            if happened():
                return True
        time.sleep(0.05)
    return False


@pytest.fixture
def author(tmp_path: Path) -> Iterator[Author]:
    for name in ROOMS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    (tmp_path / ".dev").mkdir()
    (tmp_path / ".dev" / "npm").symlink_to(ROOT / ".dev" / "npm")
    port = free_ports(1)[0]
    body = f"from server.dev.run import run_dev; run_dev(port={port}, nodes=2, workers=1)"
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with (tmp_path / "run.log").open("wb") as log:
        run = subprocess.Popen(
            [sys.executable, "-c", body], cwd=tmp_path, env=env, stdout=log, stderr=log
        )
    author = Author(tmp_path, f"http://127.0.0.1:{port}")
    try:
        assert eventually(lambda: author.said("Ctrl-C stops everything")), author.log.read_text()
        yield author
    finally:
        run.send_signal(signal.SIGINT)
        run.wait(timeout=30)


def test_files_that_need_each_other_are_served_together(author: Author) -> None:
    """The master has imported some of them already, and its workers are its copies."""
    with author.file("server/authn/documents.py").open("a") as documents:
        documents.write("\n\nSAVED = 1\n")
    with author.file("server/wiring.py").open("a") as wiring:
        wiring.write("\n\nfrom server.authn.documents import SAVED  # noqa\n")
    author.save("version: 1.0.0", "version: 1.2.0")
    assert eventually(lambda: author.version() == "1.2.0"), author.log.read_text()
    assert not author.said("exited with code"), author.log.read_text()


def test_a_saved_contract_is_served_and_a_broken_one_is_not(author: Author) -> None:
    assert author.version() == "1.0.0"
    author.save("version: 1.0.0", "version: 1.1.0")
    assert eventually(lambda: author.version() == "1.1.0"), author.log.read_text()

    author.save("operationId: GetLivez", "operationId: GetLives")
    assert eventually(lambda: author.said("not reloaded")), author.log.read_text()
    assert author.said("api/plexsphere-v1.yaml:")
    assert author.said("operation GetLives of the contract has no handler")
    assert ask(author.url, "/livez").status == 200

    author.save("operationId: GetLives", "operationId: GetLivez")
    author.save("version: 1.1.0", "version: 1.2.0")
    assert eventually(lambda: author.version() == "1.2.0"), author.log.read_text()
