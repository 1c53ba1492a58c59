"""A whole service on real parts below one folder: for `make run`, the tests and the benches.

    with Stack(Path(".dev/test"), nodes=64) as stack:
        requests.get(f"{stack.url}/v1/nodes/{stack.node_id}/state", headers=stack.headers)
        stack.postgres.freeze()

Use it from the main thread (process.py says why).
"""

import json
import os
import secrets
import shutil
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from . import keys
from .commands import Places, gunicorn_command, relay_command
from .failures import plainly, write_private
from .lock import FolderLock
from .parts import Part, wait_for_answer
from .ports import HOST, answers, can_bind, free_ports
from .postgres import Cluster
from .process import Process, Seen, StackError, end_strays, wait_until
from .sample import Sample

OPERATOR = "user:operator"


class Stack:
    """Postgres, SpiceDB and gunicorn with a sample Domain; `start` makes whatever is missing.

    `port` 0 takes a free one. `env` adds settings of the service. gunicorn logs to a file, or with
    `log_to_file` False to the starter's own stdout. `step` is told what has just been done.
    """

    def __init__(
        self,
        folder: Path,
        *,
        nodes: int = 64,
        seed: int = 1,
        port: int = 0,
        workers: int = 1,
        threads: int = 16,
        env: Mapping[str, str] | None = None,
        log_to_file: bool = True,
        step: Callable[[str], None] = lambda title: None,
    ) -> None:
        self.places = Places(folder.absolute())
        self.sample = Sample.of_now(nodes, seed)
        self.parts: dict[str, Part] = {}
        self._port = port
        self._settings = {
            "PLEXSPHERE_WORKERS": str(workers),
            "PLEXSPHERE_THREADS": str(threads),
            **(env or {}),
        }
        self._log_to_file = log_to_file
        self._step = step
        self._lock = FolderLock(self.places.folder)

    # What runs.

    @property
    def postgres(self) -> Part:
        return self.parts["postgres"]

    @property
    def spicedb(self) -> Part:
        """Every start of it fills its empty memory from the ledger, before it listens."""
        return self.parts["spicedb"]

    @property
    def gunicorn(self) -> Part:
        return self.parts["gunicorn"]

    def extra_gunicorn(self, name: str, env: Mapping[str, str], wait_for: str = "/livez") -> Part:
        """A further gunicorn beside the first, started, on a port of its own.

        `env` goes over the stack's settings, such as `{"PLEXSPHERE_DSN": ""}`.
        """
        port = free_ports(1)[0]
        settings = {**self.env, **env, "PLEXSPHERE_BIND": f"{HOST}:{port}"}
        part = self._gunicorn(name, port, lambda: settings, wait_for)
        part.start()
        return part

    # What a test or a shell needs to use it.

    @property
    def url(self) -> str:
        return self.gunicorn.url

    @property
    def dsn(self) -> str:
        return self._cluster.dsn

    @property
    def node_id(self) -> str:
        """The addressed Node of the sample; `sample` knows the others."""
        return str(self.sample.addressed_id)

    def token(self, subject: str = "", **claims: Any) -> str:
        """For `subject`, by default the addressed Node itself."""
        return keys.mint(self.places.signing_key, subject or f"node:{self.node_id}", **claims)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token()}"}

    @property
    def env(self) -> dict[str, str]:
        """Every setting that `serve` and the command line need."""
        return {
            "PLEXSPHERE_DSN": self.dsn,
            "PLEXSPHERE_SPICEDB_ENDPOINT": f"{HOST}:{self.spicedb.port}",
            "PLEXSPHERE_SPICEDB_TOKEN": self.places.spicedb_token.read_text(),
            "PLEXSPHERE_SPICEDB_INSECURE": "1",
            "PLEXSPHERE_JWKS": str(self.places.jwks),
            "PLEXSPHERE_JWT_ISSUER": keys.ISSUER,
            "PLEXSPHERE_JWT_AUDIENCE": keys.AUDIENCE,
            "PLEXSPHERE_SIGNING_KEY": str(self.places.signing_key),
            "PLEXSPHERE_BIND": f"{HOST}:{self.gunicorn.port}",
            **self._settings,
        }

    @property
    def identities(self) -> dict[str, str]:
        """What a person or a script puts into requests."""
        return {
            "PLEXSPHERE_URL": self.url,
            "PLEXSPHERE_NODE_ID": self.node_id,
            "PLEXSPHERE_BRIDGE_NODE_ID": str(self.sample.bridge_id),
            "PLEXSPHERE_DOMAIN_ID": str(self.sample.domain_id),
            "PLEXSPHERE_TOKEN": self.token(),
            "PLEXSPHERE_OPERATOR_TOKEN": self.token(OPERATOR),
        }

    # Starting and stopping.

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Raises StackError with one sentence; nothing is left running then."""
        with plainly(self.places.folder):
            self.places.folder.mkdir(parents=True, exist_ok=True)
            self._lock.take(self._port)
            try:
                self._start()
            except BaseException:
                self.stop()
                raise
        return self

    def stop(self) -> None:
        for part in reversed(self.parts.values()):
            part.stop()
        # What the disk refuses by now must not keep the rest from being stopped.
        with suppress(OSError):
            self.places.pids.unlink(missing_ok=True)
        self._lock.release()

    def _start(self) -> None:
        end_strays(self._is_stray)
        self._define_parts()
        keys.ensure_keys(self.places.signing_key, self.places.jwks)
        if self._cluster.create():
            self._step("initdb")
        self.postgres.begin()
        # It takes the longest to come up, and waits by itself for what it needs.
        self.gunicorn.begin()
        # Only now, as it imports the driver and its pool: gunicorn should be under way by then.
        from .ledger import prepare_ledger

        self.postgres.await_ready()
        self._step("Postgres")
        prepare_ledger(self._cluster, self.sample, self.places.sample_stamp, self._step)
        self.spicedb.start()
        self._step("SpiceDB, its schema and a tuple for every Node")
        self.gunicorn.await_ready()
        self._step("gunicorn, ready")

    def _is_stray(self, seen: Seen) -> bool:
        return self.places.is_stray(seen) or seen.cwd == str(self.places.postgres / "data")

    def _define_parts(self) -> None:
        port = self._port or free_ports(1)[0]
        if not can_bind(port):
            raise StackError(
                f"port {port} is in use by another program: choose one, as in make run PORT=8081."
            )
        postgres, spicedb = self._own_ports()
        self._cluster = cluster = Cluster(self.places.postgres, postgres)
        self.parts["postgres"] = Part(
            "postgres", postgres, signal.SIGINT, cluster.start, cluster.wait_ready
        )
        self.parts["spicedb"] = Part(
            "spicedb",
            spicedb,
            signal.SIGTERM,
            partial(self._launch_spicedb, f"{HOST}:{spicedb}"),
            lambda process: wait_until(lambda: answers(spicedb), process, 30, "listening"),
        )
        self._gunicorn("gunicorn", port, lambda: self.env, "/readyz")
        for part in self.parts.values():
            part.changed = self._write_pids

    def _gunicorn(
        self, name: str, port: int, env: Callable[[], Mapping[str, str]], wait_for: str
    ) -> Part:
        part = self.parts[name] = Part(
            name,
            port,
            signal.SIGTERM,
            lambda: self._launch_gunicorn(name, env()),
            lambda process: wait_for_answer(port, wait_for, process),
            changed=self._write_pids,
        )
        return part

    def _launch_gunicorn(self, name: str, env: Mapping[str, str]) -> Process:
        # An old pid file may name a live stranger, and gunicorn would not start then.
        (self.places.gunicorn / f"{name}.pid").unlink(missing_ok=True)
        shutil.rmtree(self.places.gunicorn / name, ignore_errors=True)
        (self.places.gunicorn / name).mkdir(parents=True)
        return Process(gunicorn_command(self.places, name, env, self._log_to_file))

    def _launch_spicedb(self, listen: str) -> Process:
        from .ledger import ids_for_spicedb

        for socket in self.places.spicedb.glob("*.sock"):
            socket.unlink()
        self.places.node_ids.write_text("\n".join(ids_for_spicedb(self.dsn)))
        return Process(relay_command(self.places, listen))

    def _own_ports(self) -> tuple[int, int]:
        """The ones of the last start where they are free, so that noted addresses stay good."""
        try:
            ports = json.loads(self.places.ports.read_text())
        except (OSError, ValueError):
            ports = []
        if len(ports) != 2 or not all(map(can_bind, ports)):
            ports = free_ports(2)
            self.places.ports.write_text(json.dumps(ports))
        self.places.spicedb.mkdir(exist_ok=True)
        if not self.places.spicedb_token.exists():
            write_private(self.places.spicedb_token, secrets.token_urlsafe(24))
        return ports[0], ports[1]

    def _write_pids(self) -> None:
        pids = {name: part.pid for name, part in self.parts.items() if part.process is not None}
        with suppress(OSError):
            self.places.pids.write_text(json.dumps({"supervisor": os.getpid(), **pids}))
