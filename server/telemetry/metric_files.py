"""The files in which workers count: their whole room is reserved before they are mapped.

prometheus-client maps files without their pages. On a full disk the first write to such a page
kills the process, and each that is started in its place.
"""

from __future__ import annotations

import os
from pathlib import Path

# By the library's names of its files. In bytes: more than twice what all labels take
# (tests/unit/test_metrics_folder.py).
SUMMED = {"counter": 524_288, "histogram": 2_097_152}
ROOM = {**SUMMED, "gauge_livesum": 65_536, "gauge_livemax": 65_536}


def file_of(folder: str, kind: str, owner: object) -> Path:
    """The file of one kind and process."""
    return Path(folder, f"{kind}_{owner}.db")


def reserve(folder: str, owner: object, room: dict[str, int] = ROOM) -> None:
    """Make the files of a process where they are not there. Raises OSError without room for them,
    and leaves none."""
    made = []
    try:
        for kind, size in room.items():
            file = file_of(folder, kind, owner)
            if not file.exists():
                made.append(file)
                with file.open("wb") as opened:
                    os.posix_fallocate(opened.fileno(), 0, size)
    except OSError:
        for file in made:
            file.unlink(missing_ok=True)
        raise
