"""Files of a stack: errors of the file system as sentences, private files, the lock of a folder."""

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .process import StackError

REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "it is read-only",
    errno.EACCES: "this user may not write there",
    errno.EPERM: "this user may not write there",
    errno.ENOTDIR: "a part of its path is not a folder",
    errno.EEXIST: "a file of that name is in the way",
}


@contextmanager
def file_errors(folder: Path) -> Iterator[None]:
    """Turns an OSError of files below `folder` into a StackError."""
    try:
        yield
    except OSError as error:
        reason = REASONS.get(error.errno or 0, error.strerror or str(error))
        where = error.filename or folder
        raise StackError(f"{where} cannot be written: {reason}.") from error


def write_private(path: Path, text: str, mode: int = 0o600) -> None:
    """Replaces the file; it has its final mode from the beginning, so that others never read it."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


class FolderLock:
    """A stack's lock on its folder; the kernel releases it when the process ends."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._file: IO[str] | None = None

    def take(self, port: int) -> None:
        """Raises StackError with the holder's pid. The file of a killed holder is no lock."""
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
