"""A whole service with real parts below a folder: for `make run`, the tests and the benches.

    with Stack(Path(".dev/test"), nodes=64) as stack:
        requests.get(f"{stack.url}/v1/nodes/{stack.node_id}/state", headers=stack.headers)
        stack.postgres.freeze()

Use it from the main thread (process.py says why).
"""

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from . import keys, parts
from .commands import Places
from .files import FolderLock, file_errors
from .movable_clock import MovableClock
from .parts import Part
from .ports import HOST, bindable, free_ports
from .postgres import Cluster
from .process import end_strays
from .sample import AUDITOR, OPERATOR, Sample


class Stack:
    """Postgres, SpiceDB, NATS and gunicorn with a sample Domain; `start` makes whatever is missing.

    `port` 0 takes a free port. `env` adds settings of the service; `external` are the settings of
    parts that run elsewhere. gunicorn logs to a file, or with `log_to_file` False to the starter's
    stdout. With `nats` a NATS server starts too; `start_nats` starts it later. With `test_clock`
    the service uses a clock that a test moves forward. `tree` is called at each start of gunicorn,
    for the environment in which it imports another tree than ours.
    `step` is called with the title of each step that is done.
    """

    def __init__(
        self,
        folder: Path,
        *,
        nodes: int = 64,
        seed: int = 1,
        port: int = 0,
        workers: int = 1,
        env: Mapping[str, str] | None = None,
        external: Mapping[str, str] | None = None,
        log_to_file: bool = True,
        nats: bool = False,
        test_clock: bool = False,
        evaluator: bool = False,
        relay: bool = False,
        tree: Callable[[], Mapping[str, str]] = dict,
        step: Callable[[str], None] = lambda title: None,
    ) -> None:
        self.places = Places(folder.absolute())
        self.test_clock = MovableClock(self.places.test_clock) if test_clock else None
        self.sample = Sample.of_now(nodes, seed)
        self.parts: dict[str, Part] = {}
        self._port = port
        self._node_id = str(self.sample.addressed_id)
        self._external = dict(external or {})
        self._settings = {
            "PLEXSPHERE_WORKERS": str(workers),
            **(env or {}),
        }
        self._tree = tree
        self._log_to_file = log_to_file
        self._nats = nats
        self._workers = ["evaluator"] * evaluator + ["relay"] * relay
        self._step = step
        self._lock = FolderLock(self.places.folder)

    @property
    def postgres(self) -> Part:
        return self.parts["postgres"]

    @property
    def spicedb(self) -> Part:
        return self.parts["spicedb"]

    @property
    def gunicorn(self) -> Part:
        return self.parts["gunicorn"]

    def extra_gunicorn(self, name: str, env: Mapping[str, str], wait_for: str = "/livez") -> Part:
        """Another gunicorn of one worker, started, on a port of its own.

        `env` goes over the stack's settings, such as `{"PLEXSPHERE_DSN": ""}`.
        """
        port = free_ports(1)[0]
        own = {"PLEXSPHERE_WORKERS": "1", "PLEXSPHERE_BIND": f"{HOST}:{port}"}
        settings = {**self.env, **own, **env}
        part = self._add_gunicorn(name=name, port=port, env=lambda: settings, wait_for=wait_for)
        part.start()
        return part

    def extra_worker(self, name: str, env: Mapping[str, str]) -> Part:
        """The evaluator or the relay, started; `env` goes over the stack's settings."""
        settings = {**self.env, **env}
        part = self._add(
            parts.worker_part(places=self.places, name=name, env=settings, log_to_file=True)
        )
        part.start()
        return part

    def start_nats(self) -> Part:
        """NATS, started once. From then on `env` has its settings, for processes that start later,
        such as `extra_gunicorn("events", {})`."""
        if "nats" not in self.parts:
            self._add(parts.nats_part(self.places, self._nats_port)).start()
        return self.parts["nats"]

    def stop_nats(self) -> None:
        """NATS ends, and `env` no longer has its settings."""
        self.parts.pop("nats").stop()

    @property
    def url(self) -> str:
        return self.gunicorn.url

    @property
    def dsn(self) -> str:
        return self._external.get("PLEXSPHERE_DSN") or self._cluster.dsn

    @property
    def node_id(self) -> str:
        """The addressed Node of the sample; `sample` knows the others."""
        return self._node_id

    def token(self, subject: str = "", **claims: Any) -> str:
        """A token of `subject`, by default of the addressed Node itself.

        With somebody else's JWKS and no key for it, the shell's own PLEXSPHERE_TOKEN.
        """
        env = self.env
        if "PLEXSPHERE_SIGNING_KEY" not in env:
            return self._external.get("PLEXSPHERE_TOKEN", "")
        claims.setdefault("issuer", env["PLEXSPHERE_JWT_ISSUER"])
        claims.setdefault("audience", env["PLEXSPHERE_JWT_AUDIENCE"])
        key = Path(env["PLEXSPHERE_SIGNING_KEY"])
        return keys.mint(key, subject or f"node:{self.node_id}", **claims)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token()}"}

    @property
    def env(self) -> dict[str, str]:
        """Every setting that `serve` and the command line need."""
        own = parts.own_settings(
            places=self.places,
            dsn=self.dsn,
            spicedb=self.parts.get("spicedb"),
            nats=self.parts.get("nats"),
            own_keys="PLEXSPHERE_JWKS" not in self._external,
            test_clock=self.test_clock is not None,
        )
        bind = {"PLEXSPHERE_BIND": f"{HOST}:{self.gunicorn.port}"}
        return {**own, **self._settings, **self._external, **bind}

    @property
    def identities(self) -> dict[str, str]:
        """The values that people and scripts put into requests."""
        found = {
            "PLEXSPHERE_URL": self.url,
            "PLEXSPHERE_NODE_ID": self.node_id,
            "PLEXSPHERE_TOKEN": self.token(),
            "PLEXSPHERE_OPERATOR_TOKEN": self.token(OPERATOR),
            "PLEXSPHERE_AUDITOR_TOKEN": self.token(AUDITOR),
        }
        if self.node_id == str(self.sample.addressed_id):
            found["PLEXSPHERE_BRIDGE_NODE_ID"] = str(self.sample.bridge_id)
            found["PLEXSPHERE_DOMAIN_ID"] = str(self.sample.domain_id)
            found["PLEXSPHERE_IPV6_NODE_ID"] = str(self.sample.ipv6_ids[0])
        return found

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *raised: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Raises StackError with a sentence; nothing is left running then."""
        with file_errors(self.places.folder):
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
        # A full disk must not prevent the rest from being stopped.
        with suppress(OSError):
            self.places.pids.unlink(missing_ok=True)
        self._lock.release()

    def _start(self) -> None:
        end_strays(self.places.is_stray)
        self._define_parts()
        keys.ensure_keys(self.places.signing_key, self.places.jwks)
        keys.ensure_event_kek(self.places.event_kek)
        if self.test_clock:
            self.test_clock.ensure()
        if "postgres" in self.parts:
            if self._cluster.create():
                self._step("initdb")
            self.postgres.begin()
        if "nats" in self.parts:
            self.parts["nats"].begin()
        # It needs the longest to start, and waits itself for the other parts.
        self.gunicorn.begin()
        is_new = self._start_ledger()
        if "spicedb" in self.parts:
            self.spicedb.start()
        else:
            from .external import external_spicedb

            external_spicedb(self.env, is_new)
        self._step("SpiceDB, its schema and a tuple for every Node")
        if "nats" in self.parts:
            self.parts["nats"].await_ready()
            self._step("NATS")
        self.gunicorn.await_ready()
        self._step("gunicorn, ready")
        for name in self._workers:
            self._add(
                parts.worker_part(
                    places=self.places, name=name, env=self.env, log_to_file=self._log_to_file
                )
            ).start()

    def _start_ledger(self) -> bool:
        """Whether a SpiceDB elsewhere lacks its tuples."""
        # The driver is imported late, while gunicorn starts.
        if "postgres" in self.parts:
            from .ledger import prepare_ledger

            self.postgres.await_ready()
            self._step("Postgres")
            prepare_ledger(
                cluster=self._cluster,
                sample=self.sample,
                stamp=self.places.sample_stamp,
                step=self._step,
            )
            return True
        from .external import external_ledger

        found = external_ledger(self.dsn, self.sample)
        self._node_id = found.addressed
        loaded = self.sample.nodes if found.is_new else 0
        self._step(f"Postgres of PLEXSPHERE_DSN, {loaded} Nodes loaded")
        return found.is_new

    def _define_parts(self) -> None:
        port = bindable(self._port)
        postgres, spicedb, self._nats_port = parts.own_ports(self.places)
        self._cluster = Cluster(self.places.postgres, postgres)
        if "PLEXSPHERE_DSN" not in self._external:
            self._add(parts.postgres_part(self._cluster))
        if "PLEXSPHERE_SPICEDB_ENDPOINT" not in self._external:
            self._add(parts.spicedb_part(self.places, spicedb, lambda: self.dsn))
        if self._nats and "PLEXSPHERE_NATS_URL" not in self._external:
            self._add(parts.nats_part(self.places, self._nats_port))
        self._add_gunicorn(
            name="gunicorn", port=port, env=lambda: {**self.env, **self._tree()}, wait_for="/readyz"
        )

    def _add_gunicorn(
        self, name: str, port: int, env: Callable[[], Mapping[str, str]], wait_for: str
    ) -> Part:
        return self._add(
            parts.gunicorn_part(
                places=self.places,
                name=name,
                port=port,
                env=env,
                wait_for=wait_for,
                log_to_file=self._log_to_file,
            )
        )

    def _add(self, part: Part) -> Part:
        part.changed = self._write_pids
        self.parts[part.name] = part
        return part

    def _write_pids(self) -> None:
        pids = {name: part.pid for name, part in self.parts.items() if part.process is not None}
        with suppress(OSError):
            self.places.pids.write_text(json.dumps({"supervisor": os.getpid(), **pids}))
