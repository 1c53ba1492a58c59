"""One stack per folder: a lock that the kernel lets go of with its holder, however that ends."""

import fcntl
import json
import os
from pathlib import Path
from typing import IO

from .process import StackError


class FolderLock:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._file: IO[str] | None = None

    def take(self, port: int) -> None:
        """Raises StackError naming the holder. A file left by a killed holder is no lock."""
        file = open(self._path, "a+")  # noqa: SIM115
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = self._holder()
            file.close()
            raise StackError(
                f"a stack already runs in this clone (pid {holder.get('pid', 'unknown')}, port "
                f"{holder.get('port', 'unknown')}): stop that one first, or use it."
            ) from None
        file.seek(0)
        file.truncate()
        file.write(json.dumps({"pid": os.getpid(), "port": port}))
        file.flush()
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _holder(self) -> dict[str, int]:
        try:
            found = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
