"""A tree of this repository, served as ``make run`` serves it, and what its processes cost.

The tree is a copy below ``.dev/bench/``, of the working folder or of a commit, so that neither
shares a file with a running ``make run``. Only what every commit has is used: ``python -m
server.dev``, ``.dev/env`` and ``.dev/pids.json``.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Self

from server.dev.commands import plain_environment, spicedb_library
from server.dev.keys import mint
from server.dev.ports import free_ports
from server.dev.sample import Sample
from tests.bench.driver import request_bytes
from tests.client import ask, bearer, pull_path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".dev" / "bench"
CODE = ("api", "composer", "db", "handlers", "server", "tests", "wsgi.py", "Makefile")
START_SECONDS = 180.0
SETTLING_SECONDS = 120.0
TICK = 1 / os.sysconf("SC_CLK_TCK")
GZIP = {"Accept-Encoding": "gzip"}


def tree_of(ref: str | None, name: str = "now") -> Path:
    """A copy of a commit, or of the working folder as ``name``."""
    found = FOLDER / (_git("rev-parse", "--short", ref).decode().strip() if ref else name)
    found.mkdir(parents=True, exist_ok=True)
    for name in CODE:
        shutil.rmtree(found / name, ignore_errors=True)
    if ref:
        with tarfile.open(fileobj=BytesIO(_git("archive", ref, "--", *CODE))) as archive:
            archive.extractall(found, filter="data")
        return found
    for name in CODE:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, found / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, found / name)
    return found


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout


class Served:
    """``with Served(tree, nodes) as served``: the whole service, with a sample of ``nodes``."""

    def __init__(self, tree: Path, nodes: int) -> None:
        self.tree = tree
        self.sample = Sample.of_now(nodes, seed=1)
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._tokens: dict[str, str] = {}

    def __enter__(self) -> Self:
        places = self.tree / ".dev"
        places.mkdir(exist_ok=True)
        (places / "env").unlink(missing_ok=True)
        command = [sys.executable, "-m", "server.dev", "--port", str(self.port)]
        with (places / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--nodes", str(self.sample.nodes)],
                cwd=self.tree,
                env={**plain_environment(), "SPICEDB_LIBRARY_PATH": str(spicedb_library())},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + START_SECONDS
        while not is_written(places / "env"):
            if self._process.poll() is not None or time.monotonic() > until:
                self.__exit__()
                raise SystemExit(f"bench: {self.tree} does not start, see {places / 'log'}")
            time.sleep(0.1)
        return self

    def __exit__(self, *raised: object) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)

    @property
    def env(self) -> Mapping[str, str]:
        """The settings of the running service, and what ``make run`` tells people."""
        lines = (self.tree / ".dev" / "env").read_text().splitlines()
        words = (shlex.split(line) for line in lines)
        return dict(word[1].split("=", 1) for word in words if "PATH=" not in word[1][:5])

    def node(self, number: int) -> str:
        """The id of a Node of the sample."""
        return str(self.sample.node_id(number))

    def token(self, number: int) -> str:
        """The token of a Node's own agent."""
        return self._token_of(f"node:{self.node(number)}")

    def _token_of(self, subject: str) -> str:
        if subject not in self._tokens:
            env = self.env if not self._tokens else self._key
            self._key = env
            self._tokens[subject] = mint(
                self.tree / ".dev" / "signing-key.jwk",
                subject,
                issuer=env["PLEXSPHERE_JWT_ISSUER"],
                audience=env["PLEXSPHERE_JWT_AUDIENCE"],
            )
        return self._tokens[subject]

    def headers_of(self, subject: str) -> dict[str, str]:
        """Those of any Principal."""
        return bearer(self._token_of(subject))

    def headers(self, number: int) -> dict[str, str]:
        """Those of an agent: it always asks for gzip."""
        return bearer(self.token(number)) | GZIP

    def pull(self, number: int, **further: str) -> bytes:
        """The request of one Node's agent."""
        headers = self.headers(number) | {name.replace("_", "-"): v for name, v in further.items()}
        return request_bytes(self.url, pull_path(self.node(number)), headers)

    def etag(self, number: int) -> str:
        """That of a Node's answer now."""
        path = pull_path(self.node(number))
        return ask(self.url, path, self.headers(number), method="HEAD").headers["etag"]

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far, by part: ``worker`` (all of gunicorn), ``spicedb``, ``postgres``."""
        pids = json.loads((self.tree / ".dev" / "pids.json").read_text())
        parts = {"worker": "gunicorn", "spicedb": "spicedb", "postgres": "postgres"}
        return {part: cpu_of(pids[name]) for part, name in parts.items()}

    def answered(self, operation: str) -> dict[str, int]:
        """Answers so far by status, as the service counts them."""
        text = ask(self.url, "/metrics").body.decode()
        label = re.escape(f'operation="{operation}"')
        line = rf'^plexsphere_http_requests_total{{{label},status="(\d+)"}} ([\d.e+]+)$'
        return {status: int(float(n)) for status, n in re.findall(line, text, re.MULTILINE)}

    def settle(self) -> None:
        """Wait until the events of the sample are published and taken: they are no pull's cost."""
        until = time.monotonic() + SETTLING_SECONDS
        while time.monotonic() < until:
            text = ask(self.url, "/metrics").body.decode()
            left = re.findall(r"^plexsphere_events_(?:waiting|behind) ([\d.e+]+)$", text, re.M)
            if not any(map(float, left)):
                return
            time.sleep(0.5)

    @property
    def workers(self) -> list[int]:
        """The processes of gunicorn's workers."""
        pids = json.loads((self.tree / ".dev" / "pids.json").read_text())
        return family(pids["gunicorn"])[1:]

    def worker_bytes(self) -> int:
        """Memory of the largest worker that it shares with nobody, and its part of the rest."""
        sizes = []
        for pid in self.workers:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            sizes.append(sum(int(kb) for kb in re.findall(r"^Pss: +(\d+) kB", rollup, re.M)) * 1024)
        return max(sizes)


def is_written(env: Path) -> bool:
    """Whether the file is whole: its last line sets the path."""
    return env.exists() and "export PATH=" in env.read_text()


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_of(pid: int) -> float:
    """Seconds of a process, its descendants, and those of them that have ended."""
    ticks = 0
    for member in family(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        ticks += sum(map(int, fields[11:15]))  # utime, stime, and those of children that ended
    return ticks * TICK
