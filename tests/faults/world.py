"""The service of the matrix: a proxy before each dependency, a standby, a clock of its own."""

from __future__ import annotations

import http.server
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from typing import Any

import psycopg2
from psycopg2.extensions import make_dsn

from server.cli.scrape import samples_of
from server.contract.document import Contract
from server.dev.ports import HOST
from server.dev.postgres import DATABASE
from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from tests.client import ask, bearer, pull_path
from tests.faults.callers import Callers
from tests.faults.proxy import FaultyProxy
from tests.faults.seen import (
    STALE,
    STREAMED,
    WRITTEN,
    Cell,
    NodePictures,
    fixed,
    judge_events,
    unseen,
    written,
)
from tests.faults.subscribers import Subscriber
from tests.small_disk import small_disk
from tests.standby import Copy
from tests.tokens import ed25519_key, token

NODES = 8
PULLING = 3  # Nodes whose agents pull in each cell
ROOT = Path(__file__).resolve().parents[2]
RECOVERY_SECONDS = 15.0
AUDIT_SECONDS = 10.0
EVENTS_SECONDS = 40.0  # a relay that is frozen loses the election after 30
# Of the disk of the service (logs, metrics, last answers, positions, audit rows), of NATS, and of
# Postgres.
SERVICE_BYTES = NATS_BYTES = 64 * 1024 * 1024
LEDGER_BYTES = 512 * 1024 * 1024


class World:
    """A running service, and what its dependencies can be made to do."""

    def __init__(self, stack: Stack, folder: Path, *, is_whole: bool = True) -> None:
        """``is_whole``: with a standby and NATS; ``make test`` has neither in its matrix."""
        self.stack = stack
        self.folder = folder
        self.clock = folder / "clock"
        self.state = folder / "state"
        if is_whole:
            self.state = stack.places.gunicorn / "state"
        self.keys = KeysServer(stack.places.jwks)
        self._standby = self._new_standby() if is_whole else None
        self.promoted: Copy | None = None
        self._lost_before = 0
        self._events_before = 0
        self._mended = 0.0
        self.subscribers: list[Subscriber] = []
        self.proxies = {
            "Postgres": FaultyProxy(stack.postgres.port),
            "SpiceDB": FaultyProxy(stack.spicedb.port),
            "JWKS URL": FaultyProxy(self.keys.port),
        }
        if is_whole:
            self.proxies |= {
                "standby": FaultyProxy(self.standby.port),
                "second host": FaultyProxy(self.standby.port),
                "NATS": FaultyProxy(stack.parts["nats"].port),
            }
        if is_whole:
            stack.extra_worker("relay", self._env())
        self.service = stack.extra_gunicorn("faults", self._env(), "/readyz")
        self.callers = self._callers()

    @property
    def standby(self) -> Copy:
        """Of a whole world."""
        assert self._standby is not None
        return self._standby

    @property
    def nats_store(self) -> Path:
        """The folder of JetStream, a disk of its own."""
        return self.stack.places.nats.folder / "store"

    @property
    def dsn(self) -> str:
        """The ledger, without a proxy; a superuser's."""
        return self.stack.dsn if self.promoted is None else self.promoted.dsn_of(DATABASE)

    def run(self, sql: str, *arguments: object, database: str = DATABASE) -> list[tuple[Any, ...]]:
        """One statement on the ledger, or beside it, committed; again after a deadlock."""
        while True:
            with closing(psycopg2.connect(make_dsn(self.dsn, dbname=database))) as opened:
                opened.autocommit = True
                try:
                    with opened.cursor() as cursor:
                        cursor.execute(sql, arguments or None)
                        return cursor.fetchall() if cursor.description else []
                except psycopg2.errors.DeadlockDetected:
                    continue

    def replace_standby(self) -> None:
        """A new standby in place of one that was promoted."""
        self.standby.part.stop()
        self._standby = self._new_standby()
        for name in ("standby", "second host"):
            self.proxies[name].target = self.standby.port

    def recover(self, cell: Cell) -> None:
        """Note how long it takes until every Node is answered fresh and a write is acknowledged."""
        self._mended = began = time.monotonic()
        waiting = set(self.callers.nodes)
        is_written = False
        while time.monotonic() - began < RECOVERY_SECONDS:
            for node in list(waiting):
                reply = self.callers.pull(node)
                if reply is not None and reply.status == 200 and STALE not in reply.headers:
                    waiting.discard(node)
            is_written = is_written or self.callers.write_next()
            if not waiting and is_written and self._has_events(cell):
                cell.recovered_s = time.monotonic() - began
                return
            time.sleep(0.05)
        cell.notes.append(f"recovered_s: still waiting for {len(waiting)} pulls")

    def _has_events(self, cell: Cell) -> bool:
        """Whether an event stream can be opened."""
        if cell.dependency not in STREAMED or self._standby is None:
            return True
        reply = self.callers.subscribe()
        return reply is not None and reply.status == 200

    def count_losses(self, cell: Cell) -> None:
        """Acknowledged writes that the ledger lacks, and audit rows that nobody counted as lost."""
        for picture in self.callers.nodes.values():
            sql = (
                "SELECT value FROM plexsphere.node_state_entries WHERE node_id = %s AND key = 'seq'"
            )
            rows = self.run(sql, picture.node_id)
            value = int(rows[0][0]) if rows else 0
            if not picture.acknowledged <= value <= picture.attempted:
                cell.note("lost", f"write {picture.acknowledged}; the ledger has {value}")
        sql = (
            "SELECT count(DISTINCT correlation_id) FROM plexsphere.audit_rows"
            " WHERE correlation_id = ANY (%s)"
        )
        written_rows = self.run(sql, list(self.callers.acknowledged))[0][0]
        for _ in range(len(self.callers.acknowledged) - written_rows):
            cell.note("lost", "the audit row of a write")
        until = time.monotonic() + AUDIT_SECONDS
        while True:
            missing = len(self.callers.granted) - self.run(sql, list(self.callers.granted))[0][0]
            missing -= self._counted_as_lost() - self._lost_before
            if missing <= 0 or time.monotonic() > until:
                break
            time.sleep(0.2)
        for _ in range(max(0, missing)):
            cell.note("lost", "the audit row of a pull, and nobody counted it")

    def count_events(self, cell: Cell, seconds: float = EVENTS_SECONDS) -> None:
        """Events that the held streams did not have, had twice, or had in another order."""
        if not self.subscribers:
            return
        until = time.monotonic() + seconds
        while any(unseen(self._events(held.node_id), held.received) for held in self.subscribers):
            if time.monotonic() > until:
                break
            time.sleep(0.05)
        else:
            cell.events_s = time.monotonic() - self._mended
        for held in self.subscribers:
            held.stop()
            judge_events(cell, held.node_id, self._events(held.node_id), held.received)
        self.subscribers = []

    def _events(self, node_id: str) -> list[tuple[str, int]]:
        """The events of a Node since the cell began: the id, and the number that was written."""
        sql = (
            "SELECT e.id, (SELECT entry ->> 2 FROM jsonb_array_elements(e.content::jsonb) entry"
            " WHERE entry ->> 1 = %s) FROM plexsphere.events e"
            " WHERE e.node_id = %s AND e.seq > %s AND e.block = 'state' ORDER BY e.seq"
        )
        found = self.run(sql, WRITTEN, node_id, self._events_before)
        return [(str(id), int(number)) for id, number in found]

    def close(self) -> None:
        for held in self.subscribers:
            held.stop()
        self.service.stop()
        for proxy in self.proxies.values():
            proxy.close()
        if self._standby is not None:
            self._standby.part.stop()
        self.keys.stop()

    def begin(self, cell: Cell) -> None:
        """A cell begins: earlier losses and events are not its own."""
        self._lost_before = self._counted_as_lost()
        if cell.dependency in STREAMED and self._standby is not None:
            self.subscribe()

    def subscribe(self) -> None:
        """Hold the streams of the Nodes whose agents pull."""
        tokens, url = self.callers.tokens, self.callers.url
        self.subscribers = [Subscriber(url, node, tokens[node]) for node in self.callers.nodes]
        self._events_before = self.run("SELECT coalesce(max(seq), 0) FROM plexsphere.events")[0][0]

    def _counted_as_lost(self) -> int:
        found = samples_of(ask(self.service.url, "/metrics").body.decode()).items()
        return int(sum(n for (name, _), n in found if name == "plexsphere_audit_rows_lost_total"))

    def _new_standby(self) -> Copy:
        cluster = self.stack._cluster
        standby = Copy(cluster, self.folder / "standby", follows=True)
        standby.part.start()
        return standby

    def _env(self) -> dict[str, str]:
        ports = {name: proxy.port for name, proxy in self.proxies.items()}
        dsn = make_dsn(self.stack.dsn, host=HOST, port=ports["Postgres"])
        whole = {}
        if self._standby is not None:
            both = f"{ports['Postgres']},{ports['second host']}"
            whole = {
                "PLEXSPHERE_DSN": make_dsn(
                    dsn, host=f"{HOST},{HOST}", port=both, target_session_attrs="primary"
                ),
                "PLEXSPHERE_READ_DSN": make_dsn(dsn, port=ports["standby"]),
                "PLEXSPHERE_NATS_URL": f"nats://{HOST}:{ports['NATS']}",
                "PLEXSPHERE_AUDIT_SPOOL": str(self.state / "audit-rows"),
            }
        return {
            "PLEXSPHERE_DSN": dsn,
            "PLEXSPHERE_SPICEDB_ENDPOINT": f"{HOST}:{ports['SpiceDB']}",
            "PLEXSPHERE_JWKS": f"http://{HOST}:{ports['JWKS URL']}/jwks.json",
            "PLEXSPHERE_SIGNING_KEY": "",
            "PLEXSPHERE_WORKERS": "1",
            "PLEXSPHERE_STALE_READ_FOLDER": str(self.state / "last-answers"),
            "PLEXSPHERE_POSITION_FILE": str(self.state / "positions"),
            "PLEXSPHERE_REFUSALS_PER_MINUTE": "0",
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'faults' / 'clock'}",
            "FAULTS_CLOCK": str(self.clock),
            **whole,
        }

    def _callers(self) -> Callers:
        stack, nodes = self.stack, {}
        ids = [str(stack.sample.node_id(number)) for number in range(NODES)]
        tokens = {node: stack.token(f"node:{node}") for node in ids}
        for node in ids[:PULLING]:
            reply = ask(self.service.url, pull_path(node), bearer(tokens[node]))
            body = reply.json
            number = written(body)
            nodes[node] = NodePictures(node, fixed(body), number, number, number)
        service = f"service:revoked-{os.getpid()}"
        for word in ("grant", "revoke"):
            command = [*self.cli(), word, service, "node-agent", f"node:{ids[0]}"]
            subprocess.run(
                command, env={**os.environ, **stack.env}, check=True, capture_output=True
            )
        forged = token(ed25519_key("nobody-knows-it"), sub=f"node:{ids[0]}")
        return Callers(
            self.service.url,
            nodes,
            tokens,
            stack.token(OPERATOR),
            forged,
            (ids[0], stack.token(service)),
            Contract.packaged(),
        )

    @staticmethod
    def cli() -> list[str]:
        return [str(ROOT / ".venv" / "bin" / "python"), "-m", "server.cli"]


class KeysServer:
    """A JWKS URL, which can be down."""

    def __init__(self, file: Path) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = file.read_bytes()
                with suppress(OSError):  # it was cut off
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                """Nothing."""

        self._handler = Handler
        self.port = 0
        self.start()

    def start(self) -> None:
        """On the port of before."""
        self._server = http.server.ThreadingHTTPServer((HOST, self.port), self._handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def world(name: str = "faults") -> Iterator[World]:
    """Everything running, below ``.dev/<name>``."""
    folder = ROOT / ".dev" / name
    with ExitStack() as end:
        # Made anew: a failover of before left another history.
        for part in ("standby", "gunicorn", "postgres", "nats/store"):
            subprocess.run(["umount", str(folder / part)], capture_output=True)
            rmtree(folder / part, ignore_errors=True)
        (folder / "sample.json").unlink(missing_ok=True)
        end.enter_context(small_disk(folder / "gunicorn", SERVICE_BYTES))
        end.enter_context(small_disk(folder / "postgres", LEDGER_BYTES))
        end.enter_context(small_disk(folder / "nats" / "store", NATS_BYTES))
        stack = Stack(folder, nodes=NODES, workers=1, nats=True)
        end.callback(stack.stop)
        stack.start()
        for part in ("state", "state/audit-rows"):
            (folder / "gunicorn" / part).mkdir(mode=0o700)
        (folder / "clock").write_text("0")
        made = World(stack, folder)
        end.callback(made.close)
        yield made
