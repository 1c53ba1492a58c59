"""The start of the service, or every reason against it at once: settings, contract and code."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from server.settings import (
    METRICS_FOLDER,
    SettingsError,
    metrics_directory,
    read_settings,
)

if TYPE_CHECKING:
    from server.wiring import Service

# gunicorn's own: its master ends, instead of starting the same worker for ever.
WORKER_BOOT_ERROR = 3


def start() -> Service:
    """The wired service of this shell's settings. Ends the process where there is none."""
    complaints = start_complaints()
    if complaints:
        refuse_to_start(complaints)
    from server.wiring import wire  # only now: an import may fail on what the checks have named

    return wire(read_settings())


def start_complaints() -> list[str]:
    """A line for each reason; whoever mends the one sees the others. Empty when it would start."""
    return [*_settings(), *_contract()]


def refuse_to_start(complaints: list[str]) -> NoReturn:
    """Say why on stderr, once for all workers, and end with the status that ends the master.

    One worker ends so: of two, the master would show the trace of its own surprise.
    """
    if not note(COMPLAINED):  # workers that start together fail together
        raise SystemExit(1)
    print("\n".join(complaints), file=sys.stderr, flush=True)
    raise SystemExit(WORKER_BOOT_ERROR)


def whereabouts(error: BaseException) -> str:
    """``file:line: what``, for an error of an import."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}:{error.offset}: {error.msg}"
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}: " if trace else ""
    return f"{place}{type(error).__name__}: {error}"


def _settings() -> list[str]:
    try:
        read_settings()
    except SettingsError as error:
        return error.complaints
    return []


def _contract() -> list[str]:
    try:
        from handlers import OPERATIONS
        from server.authoring.contract_check import contract_complaints
        from server.contract.document import packaged_contract
    except Exception as error:  # a handler that does not import
        return [whereabouts(error)]
    return contract_complaints(packaged_contract(), OPERATIONS)


# Notes that all processes of an instance see.
COMPLAINED = "not-started"
NOT_RELOADED = "not-reloaded"


def note(name: str) -> bool:
    """Leave a note; False where it is there already. Only gunicorn has a place for it."""
    folder = metrics_directory() or ""
    if METRICS_FOLDER not in folder:
        return True
    try:
        os.close(os.open(f"{folder}/{name}", os.O_CREAT | os.O_EXCL))
    except OSError:
        return False
    return True


def forget(name: str) -> None:
    """Take a note away; harmless where there is none."""
    folder = metrics_directory() or ""
    if METRICS_FOLDER in folder:
        Path(folder, name).unlink(missing_ok=True)


def is_noted(name: str) -> bool:
    """Whether somebody left a note."""
    folder = metrics_directory() or ""
    return METRICS_FOLDER in folder and Path(folder, name).exists()
