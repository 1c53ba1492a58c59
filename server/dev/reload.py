"""The spec author's loop: a saved tree that would boot is served, else the old one goes on.

A tree is copied before it is checked, and the copy is served: a worker imports seconds after the
check, and another worker whenever a worker dies.
"""

import importlib.util
import marshal
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import CodeType

from .commands import REPOSITORY

ROOMS = ("api", "composer", "db", "handlers", "server")
SUFFIXES = (".py", ".yaml", ".sql", ".zed", ".html", ".css", ".js")
# The header that Python checks in compiled code without a source file.
_HEADER = importlib.util.MAGIC_NUMBER + bytes(12)
_KEPT = 3  # trees: the served tree, and those of workers that are about to end

Stamps = Mapping[str, int]


def saved(root: Path = REPOSITORY) -> dict[str, int]:
    """Every file that a worker may read, by its path in the tree, with its time of change (ns)."""
    found: dict[str, int] = {}
    folders = [str(root / room) for room in ROOMS]
    for folder in folders:  # the loop appends to it: this is faster than os.walk
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIXES):
                    with suppress(FileNotFoundError):  # an editor is replacing it
                        found[entry.path[len(str(root)) + 1 :]] = entry.stat().st_mtime_ns
                elif entry.name != "__pycache__" and entry.is_dir():
                    folders.append(entry.path)
    with suppress(FileNotFoundError):
        found["wsgi.py"] = (root / "wsgi.py").stat().st_mtime_ns
    return found


def import_path(tree: Path) -> dict[str, str]:
    """The environment in which a process in REPOSITORY imports from this tree.

    The path is relative, because a clone's path may have a colon. The clone comes second, because
    gunicorn would otherwise put its working folder first.
    """
    return {"PYTHONPATH": f"{os.path.relpath(tree, REPOSITORY)}:.", "PYTHONSAFEPATH": "1"}


class FrozenTrees:
    """Copies of the tree below a folder; ``now`` is a link to the served copy.

    Modules are compiled under the name of the author's file, which traces then name.
    """

    def __init__(self, folder: Path, root: Path = REPOSITORY) -> None:
        self._folder = folder
        self._root = root
        self._served = 0
        self._code: dict[str, tuple[int, bytes]] = {}
        self.stamps: Stamps = {}

    def begin(self) -> dict[str, str]:
        """Copies and serves the present tree; the environment of a process that serves it."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self.stamps = saved(self._root)
        self.serve(self.take(self.stamps))
        return import_path(self._folder / "now")

    def take(self, stamps: Stamps) -> Path:
        """A copy of these files, to be checked; the next copy replaces it."""
        tree = self._folder / "saved"
        shutil.rmtree(tree, ignore_errors=True)
        known, self._code = self._code, {}
        for name, stamp in stamps.items():
            target = tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # deleted meanwhile, which the next poll finds
                if target.suffix != ".py":
                    shutil.copyfile(self._root / name, target)
                    continue
                made = known.get(name)
                if made is None or made[0] != stamp:
                    made = stamp, _HEADER + marshal.dumps(_code(self._root / name))
                self._code[name] = made
                target.with_suffix(".pyc").write_bytes(made[1])
        return tree

    def serve(self, tree: Path) -> None:
        """Processes that import from now on find this tree."""
        self._served += 1
        tree.rename(self._folder / str(self._served))
        link = self._folder / "next"
        link.symlink_to(str(self._served))
        link.replace(self._folder / "now")
        shutil.rmtree(self._folder / str(self._served - _KEPT), ignore_errors=True)


def _code(path: Path) -> CodeType:
    """The compiled file; code that raises the SyntaxError at import where it does not compile."""
    text = path.read_bytes()
    try:
        return compile(text, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        place = (str(path), error.lineno, error.offset, error.text)
        fault = f"raise SyntaxError({error.msg!r}, {place!r})"
    except ValueError as error:  # a null byte
        fault = f"raise SyntaxError({str(error)!r}, ({str(path)!r}, 1, 1, ''))"
    return compile(fault, str(path), "exec", dont_inherit=True)


CHECK_SECONDS = 120
# Reading the times costs hundreds of system calls. While files are saved, each poll reads them;
# later one poll in five does.
BUSY_POLLS = 300
IDLE_POLLS = 5
# Files that the ledger and SpiceDB read at their start.
AT_START = ("db/migrations/", "db/schema.sql", "server/authz/schema.zed")


class Reloader:
    """Reads the files' times; a tree that would boot is served, and gunicorn gets a HUP.

    The check runs in a process of its own with the service's settings, because gunicorn's master
    ends at a HUP to a tree that does not import. It checks a copy, and that copy is served.
    """

    def __init__(
        self,
        trees: FrozenTrees,
        settings: Mapping[str, str],
        gunicorn_pid: Callable[[], int],
        say: Callable[[str], None],
    ) -> None:
        self._trees = trees
        self._settings = settings
        self._gunicorn_pid = gunicorn_pid
        self._say = say
        self._seen = self._settling = trees.stamps
        self._quiet = 0

    def poll(self) -> None:
        """Reloads when files were saved, and none since the last poll.

        A checkout saves hundreds of files, and a part of them is a tree that nobody wrote.
        """
        self._quiet += 1
        if self._quiet > BUSY_POLLS and self._quiet % IDLE_POLLS:
            return
        stamps = saved()
        if stamps != self._settling:
            self._settling, self._quiet = stamps, 0
        elif stamps != self._seen:
            self._reload(stamps)

    def _reload(self, stamps: Stamps) -> None:
        try:
            tree = self._trees.take(stamps)
            if saved() != stamps:  # the copy may be of two times
                return
            complaints = check(tree, self._settings)
        except OSError as error:  # a file without read permission, a full disk
            complaints = [str(error)]
        if not complaints:
            self._serve(tree, stamps)
        elif saved() == stamps:  # else a file saved meanwhile may have mended it
            self._seen = stamps
            self._say("not reloaded, the old version is still served:")
            for line in complaints:
                self._say(f"  {line}")

    def _serve(self, tree: Path, stamps: Stamps) -> None:
        before, self._seen = self._seen, stamps
        self._trees.serve(tree)
        os.kill(self._gunicorn_pid(), signal.SIGHUP)
        self._say("the saved files boot: new workers start with them")
        for name, stamp in stamps.items():
            if name.startswith(AT_START) and before.get(name) != stamp:
                self._say(f"  {name} is read at the start only: stop make run, and start it again")


def check(tree: Path, settings: Mapping[str, str]) -> list[str]:
    """The reasons why a tree does not boot, a line each; empty when it boots."""
    command = [sys.executable, "-m", "server.dev.check_boot"]
    try:
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            env={**os.environ, **settings, **import_path(tree)},
            capture_output=True,
            text=True,
            timeout=CHECK_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return [f"the check did not end within {CHECK_SECONDS} s"]
    if done.returncode == 0:
        return []
    return done.stdout.splitlines() or done.stderr.splitlines()[-1:] or ["it does not boot"]
