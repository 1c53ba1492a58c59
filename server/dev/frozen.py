"""The tree as it was saved at one moment: what was checked is what is served, whatever is saved
meanwhile. A worker imports seconds after its check, and another one whenever a worker dies.
"""

import importlib.util
import marshal
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from .commands import REPOSITORY

ROOMS = ("api", "composer", "db", "handlers", "server")
SUFFIXES = (".py", ".yaml", ".sql", ".zed", ".html", ".css", ".js")
# What Python looks at before it takes compiled code that has no source beside it.
_HEADER = importlib.util.MAGIC_NUMBER + bytes(12)
_KEPT = 3  # trees: the served one, and those of workers that are just leaving

Stamps = Mapping[str, int]


def saved(root: Path = REPOSITORY) -> dict[str, int]:
    """Every file that a worker may read, by its path in the tree, and when it was saved (ns)."""
    found: dict[str, int] = {}
    folders = [str(root / room) for room in ROOMS]
    for folder in folders:  # which grows: a tree of 20 folders is looked at all day long
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIXES):
                    with suppress(FileNotFoundError):  # an editor is putting it in its place
                        found[entry.path[len(str(root)) + 1 :]] = entry.stat().st_mtime_ns
                elif entry.name != "__pycache__" and entry.is_dir():
                    folders.append(entry.path)
    with suppress(FileNotFoundError):
        found["wsgi.py"] = (root / "wsgi.py").stat().st_mtime_ns
    return found


def import_path(tree: Path) -> dict[str, str]:
    """The environment in which a process below REPOSITORY imports from a tree of ours.

    Relative, because a clone's path may have a colon. The clone itself comes second, or gunicorn
    would put its working folder first.
    """
    return {"PYTHONPATH": f"{os.path.relpath(tree, REPOSITORY)}:.", "PYTHONSAFEPATH": "1"}


class FrozenTrees:
    """Copies below one folder; ``now`` is a link to the one that is served.

    Modules are kept as code that names the author's file, so that traces lead there.
    """

    def __init__(self, folder: Path, root: Path = REPOSITORY) -> None:
        self._folder = folder
        self._root = root
        self._served = 0
        self._code: dict[str, tuple[int, bytes]] = {}
        self.stamps: Stamps = {}

    def begin(self) -> dict[str, str]:
        """Freeze and serve the tree as it stands; the environment of who is to serve it."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self.stamps = saved(self._root)
        self.serve(self.take(self.stamps))
        return import_path(self._folder / "now")

    def take(self, stamps: Stamps) -> Path:
        """A copy of these files, to be checked; the next one takes its place."""
        tree = self._folder / "saved"
        shutil.rmtree(tree, ignore_errors=True)
        known, self._code = self._code, {}
        for name, stamp in stamps.items():
            target = tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # gone since then, which the next look will tell
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
        """Have whoever imports from now on find this tree."""
        self._served += 1
        tree.rename(self._folder / str(self._served))
        link = self._folder / "next"
        link.symlink_to(str(self._served))
        link.replace(self._folder / "now")
        shutil.rmtree(self._folder / str(self._served - _KEPT), ignore_errors=True)


def _code(path: Path) -> object:
    """What a file is compiled to; of one that cannot be, code that says so when it is imported."""
    text = path.read_bytes()
    try:
        return compile(text, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        place = (str(path), error.lineno, error.offset, error.text)
        fault = f"raise SyntaxError({error.msg!r}, {place!r})"
    except ValueError as error:  # a null byte
        fault = f"raise SyntaxError({str(error)!r}, ({str(path)!r}, 1, 1, ''))"
    return compile(fault, str(path), "exec", dont_inherit=True)
