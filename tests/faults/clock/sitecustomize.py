"""Imported first by a process with this folder in PYTHONPATH: its clock is off, as a file says."""

import os
import time

_FILE = os.environ.get("FAULTS_CLOCK", "")
_real = time.time


def _off() -> float:
    try:
        with open(_FILE) as file:
            return _real() + float(file.read() or 0)
    except (OSError, ValueError):
        return _real()


if _FILE:
    time.time = _off
