"""The parts of a stack: how each starts, answers and stops."""

import http.client
import json
import secrets
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from . import keys
from .commands import Places, gunicorn_command, spicedb_command, worker_command
from .files import write_private
from .nats import await_nats, start_nats
from .ports import HOST, answers, can_bind, free_ports
from .postgres import Cluster
from .process import Process, StackError, wait_until
from .tuples import as_lines


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
        wait_until(
            ready=answered, part=process, seconds=seconds, what=f"ready at {path}", pause=0.03
        )
    except StackError as error:
        raise StackError(f"{error} Its last answer: {last}" if last else str(error)) from error


SECONDS = 30.0


def postgres_part(cluster: Cluster) -> Part:
    return Part(
        name="postgres",
        port=cluster.port,
        stop_signal=signal.SIGINT,
        launch=cluster.start,
        ready=cluster.wait_ready,
    )


def spicedb_part(places: Places, port: int, dsn: Callable[[], str]) -> Part:
    """Each start fills its empty memory from the ledger before it listens."""

    def launch() -> Process:
        from .ledger import tuples_for_spicedb

        for socket in places.spicedb.glob("*.sock"):
            socket.unlink()
        places.tuples.write_text(as_lines(tuples_for_spicedb(dsn())))
        return Process(spicedb_command(places, f"{HOST}:{port}"))

    def ready(process: Process) -> None:
        wait_until(ready=lambda: answers(port), part=process, seconds=SECONDS, what="listening")

    places.spicedb.mkdir(exist_ok=True)
    if not places.spicedb_token.exists():
        write_private(places.spicedb_token, secrets.token_urlsafe(24))
    return Part(name="spicedb", port=port, stop_signal=signal.SIGTERM, launch=launch, ready=ready)


def nats_part(places: Places, port: int) -> Part:
    def launch() -> Process:
        return start_nats(places.nats, port)

    def ready(process: Process) -> None:
        await_nats(port, process)

    return Part(name="nats", port=port, stop_signal=signal.SIGTERM, launch=launch, ready=ready)


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
        return Process(
            gunicorn_command(places=places, name=name, settings=env(), log_to_file=log_to_file)
        )

    def ready(process: Process) -> None:
        wait_for_answer(port=port, path=wait_for, process=process, seconds=SECONDS)

    return Part(name=name, port=port, stop_signal=signal.SIGTERM, launch=launch, ready=ready)


def worker_part(places: Places, name: str, env: Mapping[str, str], log_to_file: bool) -> Part:
    """The evaluator or the relay: it waits itself for what it needs."""

    def launch() -> Process:
        return Process(
            worker_command(places=places, name=name, settings=env, log_to_file=log_to_file)
        )

    (places.folder / name).mkdir(exist_ok=True)
    return Part(
        name=name, port=0, stop_signal=signal.SIGTERM, launch=launch, ready=lambda process: None
    )


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
