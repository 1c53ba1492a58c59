"""Flags: files that all processes of an instance share, in the folder of their metrics."""

from __future__ import annotations

import os
from pathlib import Path

from server.settings import METRICS_FOLDER, metrics_directory

COMPLAINED = "not-started"
NOT_RELOADED = "not-reloaded"


def set_flag(name: str) -> bool:
    """Set a flag; False where it was set. Without gunicorn this does nothing and returns True."""
    folder = metrics_directory() or ""
    if METRICS_FOLDER not in folder:
        return True
    try:
        os.close(os.open(f"{folder}/{name}", os.O_CREAT | os.O_EXCL))
    except OSError:
        return False
    return True


def clear_flag(name: str) -> None:
    """Clear a flag, if it is set."""
    folder = metrics_directory() or ""
    if METRICS_FOLDER in folder:
        Path(folder, name).unlink(missing_ok=True)


def is_flag_set(name: str) -> bool:
    """Whether a flag is set."""
    folder = metrics_directory() or ""
    return METRICS_FOLDER in folder and Path(folder, name).exists()
