"""What the file system refuses, as one sentence; and files for their owner alone."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
def plainly(folder: Path) -> Iterator[None]:
    """Raises StackError for an OSError of files below `folder`."""
    try:
        yield
    except OSError as error:
        reason = REASONS.get(error.errno or 0, error.strerror or str(error))
        where = error.filename or folder
        raise StackError(f"{where} cannot be written: {reason}.") from error


def write_private(path: Path, text: str, mode: int = 0o600) -> None:
    """Made anew with its final mode, never readable to others in between."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
