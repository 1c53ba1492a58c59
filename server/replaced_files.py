"""Files that are replaced in one step: a reader finds the old content or the new one, whole."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace_file(
    file: Path,
    content: bytes,
    *,
    mode: int = 0o600,
    like: os.stat_result | None = None,
    is_synced: bool = True,
) -> os.stat_result:
    """Write a file with ``mode``, or with owner, group and mode of ``like``. Returns the facts of
    the new file. Raises OSError.

    ``is_synced``: the content also outlives a crash of the machine.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as opened:
            if like is not None:
                os.fchown(descriptor, like.st_uid, like.st_gid)
            os.fchmod(descriptor, mode if like is None else like.st_mode & 0o777)
            opened.write(content)
            opened.flush()
            if is_synced:
                os.fsync(descriptor)
            facts = os.fstat(descriptor)
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise
    return facts
