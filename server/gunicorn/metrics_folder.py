"""The folder in which the workers count, made before the first of them and removed with the master;
and the one of their heartbeat files."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence

# In memory; also where no usual folder for temporary files can be written.
MEMORY = "/dev/shm"


def heartbeat_folder(memory: str = MEMORY) -> str | None:
    """``memory`` where it can be written, because a slow disk must not look like a hung worker.

    None is the usual folder for temporary files.
    """
    return memory if os.access(memory, os.W_OK | os.X_OK) else None


def metrics_folder(prefix: str, folders: Sequence[str | None] = (None, MEMORY)) -> str:
    """A new folder in the first of ``folders`` that can be written; None is the usual one.

    It goes when this process ends, also where it does not start. A worker is a copy of this
    process, and leaves the folder alone.
    """
    for folder in folders:
        try:
            made = tempfile.mkdtemp(prefix=prefix, dir=folder)
        except OSError:
            continue
        atexit.register(_remove, made, os.getpid())
        return made
    sys.exit("error: no folder for temporary files can be written: set TMPDIR to one")


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
