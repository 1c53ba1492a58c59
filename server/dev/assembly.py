"""The parts of a stack out of their command lines: what has to be in place before each starts."""

import json
import secrets
import shutil
import signal
from collections.abc import Callable, Mapping

from . import keys
from .commands import Places, aside_command, gunicorn_command, relay_command
from .failures import write_private
from .parts import Part, wait_for_answer
from .ports import HOST, answers, can_bind, free_ports
from .postgres import Cluster
from .process import Process, wait_until
from .tuples import as_lines

SECONDS = 30.0


def postgres_part(cluster: Cluster) -> Part:
    return Part("postgres", cluster.port, signal.SIGINT, cluster.start, cluster.wait_ready)


def spicedb_part(places: Places, port: int, dsn: Callable[[], str]) -> Part:
    """Every start of it fills its empty memory from the ledger, before it listens."""

    def launch() -> Process:
        from .ledger import tuples_for_spicedb

        for socket in places.spicedb.glob("*.sock"):
            socket.unlink()
        places.tuples.write_text(as_lines(tuples_for_spicedb(dsn())))
        return Process(relay_command(places, f"{HOST}:{port}"))

    def ready(process: Process) -> None:
        wait_until(lambda: answers(port), process, SECONDS, "listening")

    places.spicedb.mkdir(exist_ok=True)
    if not places.spicedb_token.exists():
        write_private(places.spicedb_token, secrets.token_urlsafe(24))
    return Part("spicedb", port, signal.SIGTERM, launch, ready)


def own_settings(
    places: Places, dsn: str, spicedb: Part | None, own_keys: bool, moved_time: bool
) -> dict[str, str]:
    """The settings that name what a stack has made by itself."""
    env = {
        "PLEXSPHERE_DSN": dsn,
        "PLEXSPHERE_JWT_ISSUER": keys.ISSUER,
        "PLEXSPHERE_JWT_AUDIENCE": keys.AUDIENCE,
    }
    if spicedb is not None:
        env |= {
            "PLEXSPHERE_SPICEDB_ENDPOINT": f"{HOST}:{spicedb.port}",
            "PLEXSPHERE_SPICEDB_TOKEN": places.spicedb_token.read_text(),
            "PLEXSPHERE_SPICEDB_INSECURE": "1",
        }
    if own_keys:
        env |= {
            "PLEXSPHERE_JWKS": str(places.jwks),
            "PLEXSPHERE_SIGNING_KEY": str(places.signing_key),
        }
    if moved_time:
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
    """Its environment is asked for at each start, when what it needs has been made."""

    def launch() -> Process:
        # An old pid file may name a live stranger, and gunicorn would not start then.
        (places.gunicorn / f"{name}.pid").unlink(missing_ok=True)
        shutil.rmtree(places.gunicorn / name, ignore_errors=True)
        (places.gunicorn / name).mkdir(parents=True)
        return Process(gunicorn_command(places, name, env(), log_to_file))

    def ready(process: Process) -> None:
        wait_for_answer(port, wait_for, process, SECONDS)

    return Part(name, port, signal.SIGTERM, launch, ready)


def aside_part(places: Places, name: str, env: Mapping[str, str], log_to_file: bool) -> Part:
    """The evaluator, or the relay: it waits by itself for what it needs."""

    def launch() -> Process:
        return Process(aside_command(places, name, env, log_to_file))

    (places.folder / name).mkdir(exist_ok=True)
    return Part(name, 0, signal.SIGTERM, launch, lambda process: None)


def own_ports(places: Places) -> tuple[int, int]:
    """Postgres' and SpiceDB's: those of the last start where free, so that addresses stay good."""
    try:
        postgres, spicedb = json.loads(places.ports.read_text())
        if can_bind(postgres) and can_bind(spicedb):
            return postgres, spicedb
    except (OSError, ValueError, TypeError):
        pass
    postgres, spicedb = free_ports(2)
    places.ports.write_text(json.dumps([postgres, spicedb]))
    return postgres, spicedb
