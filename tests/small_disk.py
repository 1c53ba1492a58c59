"""A disk of a few megabytes, which can be full: a tmpfs, so this is for root."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FILLER = "filler"


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A disk of its own in the place of ``folder``. Only root may mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "none", str(folder)]
    is_mounted = subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield
    finally:
        if is_mounted:
            subprocess.run(["umount", str(folder)], capture_output=True)


def fill(folder: Path) -> None:
    """Not a byte more fits on the disk of ``folder``, which must be a small one."""
    if not folder.is_mount():
        raise PermissionError(f"{folder} is no disk of its own: run this as root")
    with suppress(OSError), (folder / FILLER).open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 65_536)
    with suppress(OSError), (folder / FILLER).open("ab", buffering=0) as file:
        while True:
            file.write(b"x")


def empty(folder: Path) -> None:
    """There is room again."""
    (folder / FILLER).unlink(missing_ok=True)
